"""Reads CSV: one record a row, in one file or many, plain or compressed, by the names in the header."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Annotated

from anyio import to_thread

from batchflow.builtin.sources.encoding import UTF8, checked
from batchflow.builtin.sources.header import common_header, rows_of
from batchflow.builtin.sources.lines import Lines
from batchflow.builtin.sources.mark import remaining
from batchflow.builtin.sources.paged import paged
from batchflow.builtin.sources.rows import BadRow, Dialect, Rows
from batchflow.builtin.sources.shelf import Folder, Shelf
from batchflow.builtin.sources.stream import BLOCK
from batchflow.machine.keys import no_key
from batchflow.model.record import Cursor, Page, Record, Unreadable
from batchflow.model.target import Target
from batchflow.model.units import Doc, Size
from batchflow.ports.source import Covering

PAGE = 500


def csv(
    *,
    path: Annotated[
        Path,
        Doc(
            "The file, or a pattern like `claims/*.csv`, read in sorted order; .gz and .zst are unpacked on the way. All must have the same columns."
        ),
    ],
    key: Annotated[
        str | None, Doc("The column that names a record. Without it, a record is named by its place: `claims.csv:17`.")
    ] = None,
    delimiter: Annotated[str, Doc(r"What stands between cells: one character, or `\t`.")] = ",",
    encoding: Annotated[str, Doc("The text encoding of the files; cp1252 for many files out of Excel.")] = UTF8,
    max_record: Annotated[Size, Doc("A larger row is passed over and becomes a dead letter.")] = 32_000_000,
) -> "Csv":
    """Reads CSV files with a header."""
    return Csv(Folder(path), key=key, dialect=dialect(delimiter, encoding, max_record))


def dialect(delimiter: str, encoding: str, max_record: int) -> Dialect:
    """Takes how files are written, or raises `ValueError`."""
    delimiter = "\t" if delimiter in {r"\t", "tab"} else delimiter
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise ValueError(f"delimiter is {delimiter!r}, but must be one ASCII character, such as ',' ';' or 'tab'")
    return Dialect(delimiter, checked(encoding), max_record)


class Csv:
    """A source of CSV rows. A row that is malformed or has another number of cells than the header is `Unreadable`."""

    def __init__(self, shelf: Shelf, *, key: str | None, dialect: Dialect) -> None:
        self._shelf = shelf
        self._key = key
        self._dialect = dialect

    def read(self, after: Cursor | None) -> AsyncGenerator[Page]:
        """Yields pages of at most about 256 KiB or 500 records, or of one larger record."""
        return paged(self._pages(after))

    async def fingerprint(self) -> str | None:
        """Changes when a file does."""
        return await self._shelf.fingerprint()

    def covers(self, target: Target) -> bool:
        """Tells whether one of the files would be what a sink writes."""
        return isinstance(self._shelf, Covering) and self._shelf.covers(target)

    async def columns(self) -> frozenset[str] | None:
        """The names in the header."""
        header = await to_thread.run_sync(lambda: common_header(self._shelf, None, self._dialect))
        return frozenset(header) if header else None

    def _pages(self, after: Cursor | None) -> Generator[Page]:
        common_header(self._shelf, self._key, self._dialect)
        for file, mark in remaining(self._shelf, after):
            with self._shelf.opened(file) as stream:
                header, rows = rows_of(stream, file, self._dialect)
                if mark.offset <= rows.mark().offset:
                    yield from self._file(header, rows)
                    continue
            with self._shelf.opened(file, mark.offset) as stream:
                yield from self._file(header, Rows(Lines(stream, self._dialect.limit), mark, self._dialect))

    def _file(self, header: list[str], rows: Rows) -> Generator[Page]:
        items: list[Record | Unreadable] = []
        name, begun = rows.mark().file, rows.mark().offset
        for row in rows:
            items.append(self._item(header, row, f"{name}:{rows.began}"))
            if len(items) == PAGE or rows.offset - begun >= BLOCK:
                yield Page(items, rows.mark().cursor())
                items, begun = [], rows.offset
        if items:
            yield Page(items, rows.mark().cursor())

    def _item(self, header: list[str], row: list[str] | BadRow, origin: str) -> Record | Unreadable:
        if isinstance(row, BadRow):
            return Unreadable(origin, row.reason, excerpt=row.excerpt)
        data = dict(zip(header, row, strict=False))
        key = origin if self._key is None else data.get(self._key, "")
        if len(row) != len(header):
            reason = f"the row has {len(row)} cells, the header has {len(header)}"
            return Unreadable(origin, reason, key=key, excerpt=",".join(row)[:200])
        if not key:
            return Unreadable(origin, no_key(self._key or "", key), excerpt=",".join(row)[:200])
        return Record(key, data, origin)
