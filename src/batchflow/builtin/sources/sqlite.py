"""Reads the rows of a SQLite query in the order of their keys, page by page.

Each page is a query of its own, behind the last key (`where key > ?`). A cursor of the database that stays open would be
quicker where the key has no index, but it would hold a lock for the length of the run, and the rows that `on_submit`
marks could neither be written nor be kept from moving the place.
"""

import base64
import re
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from anyio import to_thread

from batchflow.builtin.sources.paged import paged
from batchflow.builtin.sources.selection import Garbled, Place, Row, Selection, read_place
from batchflow.builtin.sources.tree import single
from batchflow.machine.keys import key_of, no_key
from batchflow.model.errors import SourceError
from batchflow.model.record import Cursor, Page, Record, Unreadable
from batchflow.model.target import Target
from batchflow.model.units import Doc, Mendable

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds to wait for another program's write."""


def sqlite(
    *,
    path: Annotated[Path, Doc("The database file.")],
    query: Annotated[
        str, Doc("A SELECT that gives one row per record; blobs arrive as base64. An index on the key makes it quick.")
    ],
    key: Annotated[str, Doc("The column that names a record: text or numbers; blobs are named by their hex digits.")],
    on_submit: Annotated[
        str,
        Doc(
            "A statement run for each record once it is safely drafted, such as `update claims set status = 'pending' where id = :key`. It may run twice for a record."
        ),
    ] = "",
    page: Annotated[int, Mendable(), Doc("Rows read at a time.")] = 1000,
) -> "Sqlite":
    """Reads the rows of a SQLite query, in the order of their keys."""
    if page < 1:
        raise ValueError(f"page is {page}, but at least one row must be read at a time")
    if on_submit and ":key" not in on_submit:
        raise ValueError(
            "on_submit does not say which row: use `:key`, as in `update claims set status = 'pending' where id = :key`"
        )
    if on_submit and re.search(r"\blimit\s+\S+(\s*(,|offset)\s*\S+)?\s*;?\s*$", query, re.IGNORECASE):
        raise ValueError(
            "query ends in LIMIT while on_submit changes rows, so more and more would move up into it: choose rows with WHERE"
        )
    return Sqlite(path, query=query, key=key, on_submit=on_submit, page=page)


class Sqlite:
    """A source of rows. A row without a key is `Unreadable`."""

    def __init__(self, path: Path, *, query: str, key: str, on_submit: str, page: int) -> None:
        self._path = path
        self._query = query
        self._key = key
        self._on_submit = on_submit
        self._page = page
        self._kinds: set[type] = set()

    def read(self, after: Cursor | None) -> AsyncGenerator[Page]:
        """Yields pages of at most `page` rows or about 1 MiB; rows with the same key share one."""
        return paged(self._pages(after))

    async def fingerprint(self) -> str | None:
        """Cannot be told: a query's answer has no time of change."""
        return None

    def covers(self, target: Target) -> bool:
        """Tells whether a sink would write over the database; it may have a table in it."""
        return not target.shared and target.leads_to(self._path)

    async def columns(self) -> frozenset[str] | None:
        """The columns that the query gives."""
        return await to_thread.run_sync(lambda: self._ask(lambda rows: frozenset(rows.columns)))

    async def committed(self, keys: list[str]) -> None:
        """Runs `on_submit` for these records, in one transaction."""
        if self._on_submit and keys:
            await to_thread.run_sync(self._submit, keys)

    def _pages(self, after: Cursor | None) -> Generator[Page]:
        place = read_place(after)
        with self._selection() as rows:
            while not place.begun and (found := rows.keyless(place.keyless)):
                place = Place(keyless=place.keyless + len(found))
                yield Page(
                    [self._keyless(number) for number in range(place.keyless - len(found), place.keyless)],
                    place.cursor(),
                )
            while found := rows.behind(place):
                place = Place(begun=True, key=found[-1][rows.key_at])
                keys = [row[rows.key_at] for row in found]
                yield Page([self._record(rows, row) for row in found], place.cursor(), behind=partial(_behind, keys))

    def _keyless(self, number: int) -> Unreadable:
        return Unreadable(f"{self._path.name}:{self._key} is null, row {number + 1}", no_key(self._key, None))

    def _record(self, rows: Selection, row: Row) -> Record | Unreadable:
        value = row[rows.key_at]
        key = value.hex() if isinstance(value, bytes) else key_of(value)
        origin = f"{self._path.name}:{self._key}={key}"
        self._kinds.add(_kind(value))
        if Garbled in map(type, row):
            return self._garbled(rows, row, key)
        data: dict[str, Any] = dict(zip(rows.columns, map(_json, row), strict=True))
        return (
            Record(key, data, origin) if key else Unreadable(origin, no_key(self._key, value), excerpt=str(data)[:200])
        )

    def _garbled(self, rows: Selection, row: Row, key: str) -> Unreadable:
        bad = [name for name, value in zip(rows.columns, row, strict=True) if isinstance(value, Garbled)]
        if self._key in bad:
            raise SourceError(
                f"{self._path} has a key that is not valid UTF-8: {row[rows.key_at]!r}",
                hint=f"select it as a blob: cast({self._key} as blob) as {self._key}",
            )
        return Unreadable(f"{self._path.name}:{self._key}={key}", f"invalid UTF-8 in {', '.join(bad)}", key=key)

    def _submit(self, keys: list[str]) -> None:
        kinds = self._kinds or {_kind(self._ask(Selection.sample))}
        with self._connected("rw") as database:
            # Immediate: a transaction that reads first and writes then may find the database moved on, and fail.
            database.execute("begin immediate")
            database.executemany(self._on_submit, [{"key": _native(key, kinds)} for key in keys])
            database.execute("commit")

    def _ask(self, question: Callable[[Selection], T]) -> T:
        with self._selection() as rows:
            return question(rows)

    @contextmanager
    def _selection(self) -> Generator[Selection]:
        with self._connected("ro") as database:
            yield Selection(database, self._query, self._key, self._page)

    @contextmanager
    def _connected(self, mode: str) -> Generator[sqlite3.Connection]:
        """Opens the database for the time of a block; what it says no to is a `SourceError`."""
        address = f"{Path(single(self._path).path).absolute().as_uri()}?mode={mode}"
        try:
            # Pages are read one after another, but not always in the same thread.
            with closing(
                sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            ) as database:
                yield database
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise SourceError(
                f"SQLite says of {self._path}: {error}", hint=f"try it by hand: sqlite3 {self._path}"
            ) from error


def _behind(keys: Sequence[Any], count: int) -> Cursor | None:
    """Gives the cursor behind so many rows; None between rows of the same key."""
    return None if keys[count - 1] == keys[count] else Place(begun=True, key=keys[count - 1]).cursor()


def _kind(value: object) -> type:
    return type(value)


def _json(value: Any) -> Any:
    """Makes a value that JSON can hold: a record is kept with its result."""
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _native(key: str, kinds: set[type]) -> str | int | float | bytes:
    """Gives a key the type that the column has: SQLite takes the text '7' and the number 7 for two things."""
    try:
        if int in kinds and str(int(key)) == key:
            return int(key)
        if float in kinds and str(float(key)) == key:
            return float(key)
        if bytes in kinds:
            return bytes.fromhex(key)
    except ValueError:
        return key
    return key
