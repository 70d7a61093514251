"""A sink: keep answers in a table of an SQLite file. Put your own database where `_put` is."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from batchflow.plugin import Doc, Part, Promise, Receipt, SinkContext


class Table:
    """Keep one row a record in the table `results` of an SQLite file. The rows of a chunk are safe together."""

    promise: Promise = "keyed"  # a part that comes twice replaces its own rows

    def __init__(self, *, path: Annotated[Path, Doc("The SQLite file; it is made if missing.")]) -> None:
        self._path = path

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Make ready: nothing to do, for no connection outlives its chunk."""

    async def write(self, part: Part) -> Receipt:
        """Write one part, a chunk at a time, off the event loop."""
        async for rows in part.rows:
            await to_thread.run_sync(self._put, [(row.key, row.text) for row in rows])
        return {"part": part.name}

    async def close(self) -> None:
        """Let go: nothing is held."""

    def _put(self, rows: list[tuple[str, str]]) -> None:
        with closing(sqlite3.connect(self._path)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, text TEXT)")
            db.executemany("INSERT OR REPLACE INTO results VALUES (?, ?)", rows)
