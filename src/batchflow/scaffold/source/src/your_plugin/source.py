"""A source: read records from a table of an SQLite file. Put your own database where `_rows_behind` is."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from batchflow.plugin import Cursor, Doc, Page, Record, SourceError

ROWS = "SELECT rowid, id, text FROM records WHERE rowid > ? ORDER BY rowid LIMIT ?"
PAGE = 200
"""How many records are held at a time."""


class Table:
    """Yields rows in the order of their numbers. The cursor is the last number that was given."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self, after: Cursor | None) -> AsyncIterator[Page]:
        """Yield what comes after the cursor, a page at a time, read off the event loop."""
        last: int = after["row"] if after else 0
        while rows := await to_thread.run_sync(self._rows_behind, last):
            last = rows[-1][0]
            yield Page([self._record(*row) for row in rows], {"row": last})

    async def fingerprint(self) -> str | None:
        """Say that edits cannot be told: a query has no fingerprint."""
        return None

    def _rows_behind(self, last: int) -> list[tuple[int, str, str]]:
        if not self._path.exists():  # sqlite3 would make an empty one
            raise SourceError(
                f"there is no {self._path}",
                hint="is `path` spelt right? It begins at the job file's folder",
            )
        try:
            with closing(sqlite3.connect(self._path)) as db:
                return db.execute(ROWS, (last, PAGE)).fetchall()
        except sqlite3.Error as error:
            raise SourceError(
                f"{self._path} cannot be read behind row {last}: {error}",
                hint="it should have a table `records` with the columns `id` and `text`",
            ) from error

    def _record(self, row: int, id: str, text: str) -> Record:
        return Record(key=str(id), data={"id": id, "text": text}, origin=f"{self._path.name}:{row}")


def source(*, path: Annotated[Path, Doc("The SQLite file.")]) -> Table:
    """Read the table `records` of an SQLite file, by `id` and `text`."""
    return Table(path)
