"""The rows of a SQLite query behind a place, in the order of a key column.

Comparisons are binary whatever the column's own collation: under NOCASE the rows `a` and `A` would be equal, and a page
that ends between them would lose the second.
"""

import sqlite3
from contextlib import closing
from typing import Any

import msgspec

from batchflow.model.errors import SourceError
from batchflow.model.record import Cursor

Row = tuple[Any, ...]
ENOUGH = 1024 * 1024
"""A page ends early when its rows hold this many bytes."""


class Garbled(bytes):
    """A text that is not UTF-8."""


class Place(msgspec.Struct, frozen=True):
    """Behind a number of rows without a key, or (`begun`) behind a key."""

    keyless: int = 0
    begun: bool = False
    key: Any = None

    def cursor(self) -> Cursor:
        """The same as JSON, which knows neither bytes nor every float."""
        match self.key:
            case bytes():
                return {"key": self.key.hex(), "is": "blob"}
            case float():
                return {"key": self.key.hex(), "is": "real"}
            case None:
                return {"keyless": self.keyless}
            case _:
                return {"key": self.key}


def read_place(cursor: Cursor | None) -> Place:
    """Reads a cursor back."""
    match cursor:
        case None:
            return Place()
        case {"key": str(key), "is": "blob"}:
            return Place(begun=True, key=bytes.fromhex(key))
        case {"key": str(key), "is": "real"}:
            return Place(begun=True, key=float.fromhex(key))
        case {"key": str() | int() as key}:
            return Place(begun=True, key=key)
        case {"keyless": int(keyless)}:
            return Place(keyless=keyless)
        case _:
            raise SourceError(
                f"this cursor was not made by a sqlite source: {cursor}",
                hint="did the job's source change its type in mid-run? Start anew with `batchflow run --new`",
            )


class Selection:
    """A query as a person wrote it, wrapped to be read in pages."""

    def __init__(self, database: sqlite3.Connection, query: str, key: str, page: int) -> None:
        self._database = database
        # On lines of its own: the query may end in a comment.
        self._select = f"select * from (\n{query.strip().rstrip(';')}\n)"  # noqa: S608 -- the user's own words
        self._page = page
        self._column = f'"{key.replace(chr(34), chr(34) * 2)}" collate binary'
        self.columns = self._columns(key)
        self.key_at = self.columns.index(key)

    def _columns(self, key: str) -> list[str]:
        """Asks for the columns. SQLite takes a quoted name that it does not know for a text, so nobody else would notice."""
        columns = [column[0] for column in self._database.execute(f"{self._select} limit 0").description]
        if key not in columns:
            raise SourceError(
                f"the query gives no column {key!r} to take keys from", hint=f"it gives {', '.join(map(repr, columns))}"
            )
        return columns

    def keyless(self, skip: int) -> list[Row]:
        """Gives a page of the rows whose key is null: no comparison finds them."""
        rows, _ = self._take(f"where {self._column} is null limit :limit offset :skip", limit=self._page, skip=skip)
        return rows

    def behind(self, place: Place) -> list[Row]:
        """Gives the next page of rows with keys. Rows with the same key are never parted: a cursor cannot stand between them."""
        where = "> :key" if place.begun else "is not null"
        tail = f"where {self._column} {where} order by {self._column} limit :limit"
        rows, whole = self._take(tail, key=place.key, limit=self._page + 1)
        if whole and len(rows) <= self._page:
            return rows
        last = rows[-1][self.key_at]
        clear = [row for row in rows if row[self.key_at] != last]
        return clear or self._equal(last)

    def sample(self) -> Any:
        """Gives the key of some row."""
        rows, _ = self._take(f"where {self._column} is not null limit 1")
        return rows[0][self.key_at] if rows else None

    def _equal(self, key: Any) -> list[Row]:
        with closing(self._database.execute(f"{self._select} where {self._column} = ?", (key,))) as rows:
            return rows.fetchall()

    def _take(self, tail: str, **values: Any) -> tuple[list[Row], bool]:
        """Runs the query with a tail. Text that is no text stops the library, so then it is asked for the bytes."""
        try:
            return self._some(tail, values)
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                raise
        self._database.text_factory = _text
        try:
            return self._some(tail, values)
        finally:
            self._database.text_factory = str

    def _some(self, tail: str, values: dict[str, Any]) -> tuple[list[Row], bool]:
        """Takes rows up to a size, but two at least; tells whether these were all."""
        taken: list[Row] = []
        size = 0
        with closing(self._database.execute(f"{self._select} {tail}", values)) as rows:
            for row in rows:
                taken.append(row)
                size += sum(len(value) for value in row if isinstance(value, str | bytes))
                if size > ENOUGH and len(taken) > 1:
                    return taken, False
        return taken, True


def _text(raw: bytes) -> str | Garbled:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Garbled(raw)
