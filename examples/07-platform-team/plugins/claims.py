"""A source: our claims database. It reads a view, so that joins and names are the database's business.

`seq` is the view's watermark: claims are only ever added, so whatever stands behind a number stays there in its order. That
is what makes a cursor safe; a watermark that moves when a row is edited (`updated_at`) would lose rows after a crash.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

from batchflow.plugin import Cursor, Doc, Page, Record, Register, SourceError, Unreadable, hookimpl

COLUMNS: Sequence[str] = ("claim", "text", "tenant", "tier", "product")
PAGE = f"SELECT seq, {', '.join(COLUMNS)} FROM claims_to_triage WHERE seq > ? ORDER BY seq LIMIT 300"  # noqa: S608 - no input
TAKEN = "UPDATE claims SET taken_at = coalesce(taken_at, datetime('now')) WHERE claim = ?"


class Claims:
    """Plain methods: they have a thread of their own, so they may block, and `sqlite3` meets no other thread."""

    def __init__(self, path: Path, since: int) -> None:
        self._path = path
        self._since = since

    def read(self, after: Cursor | None) -> Iterator[Page]:
        """Each page is a query of its own: no lock is held between pages, however long the run takes."""
        seq: int = after["seq"] if after else self._since
        with self._connected("ro") as database:
            while rows := database.execute(PAGE, (seq,)).fetchall():
                seq = rows[-1][0]
                yield Page([self._record(*row) for row in rows], {"seq": seq})

    def fingerprint(self) -> None:
        """Claims come in while we read, so there is no telling whether anything else changed: better none than a wrong one."""

    def columns(self) -> frozenset[str]:
        """Known beforehand, so `validate` finds a prompt that asks for another."""
        return frozenset(COLUMNS)

    def committed(self, keys: list[str]) -> None:
        """Mark what is safely on its way, for the people who look at the table. It may be told twice."""
        with self._connected("rw") as database, database:
            database.executemany(TAKEN, [(key,) for key in keys])

    def _record(self, seq: int, claim: str, *values: str | None) -> Record | Unreadable:
        data = dict(zip(COLUMNS, (claim, *values), strict=True))
        origin = f"{self._path.name}:{seq}"
        return Record(claim, data, origin) if data["text"] else Unreadable(origin, "the claim has no text", key=claim)

    @contextmanager
    def _connected(self, mode: str) -> Generator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(f"{self._path.absolute().as_uri()}?mode={mode}", uri=True, timeout=30)
            ) as database:
                yield database
        except sqlite3.Error as error:
            raise SourceError(
                f"the claims in {self._path} cannot be read: {error}",
                hint="is the nightly copy there? ask #claims-db; nothing was sent for what was not read",
            ) from error


def claims(
    *,
    path: Annotated[Path, Doc("The nightly copy of the claims database.")],
    since: Annotated[int, Doc("Read claims behind this `seq` only.")] = 0,
) -> Claims:
    """Claims to triage, in the order in which they came in."""
    return Claims(path, since)


@hookimpl
def register_sources(register: Register) -> None:
    """Hand over the claims."""
    register("claims", claims)
