"""Reads JSON lines: one object a line, in one file or many, plain or compressed."""

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from batchflow.builtin.sources.encoding import BOM, UTF8, checked, excerpt, garbled, is_utf8, megabytes, refuse_utf16
from batchflow.builtin.sources.fingerprint import fingerprint
from batchflow.builtin.sources.keys import key_of, no_key
from batchflow.builtin.sources.lines import Lines, Overlong
from batchflow.builtin.sources.mark import Mark, remaining
from batchflow.builtin.sources.paged import paged
from batchflow.builtin.sources.stream import opened
from batchflow.model.record import Columns, Cursor, Page, Record, Unreadable
from batchflow.model.units import Doc, Size

PAGE = 500

Decode: TypeAlias = "Callable[[bytes], dict[str, msgspec.Raw]]"
_decode: Decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""Checks everything about a line but its UTF-8, and decodes no value: most are only copied into the request."""

_value = msgspec.json.Decoder().decode


class Block(NamedTuple):
    """What was read in one go, and where it stands."""

    begin: Mark
    content: bytes | Unreadable
    """Whole lines, or what is wrong with one that is too long to be held."""
    end: Mark


def jsonl(
    *,
    path: Annotated[
        Path,
        Doc(
            "The file, or a pattern like `claims/*.jsonl`, read in sorted order; .gz and .zst are unpacked on the way."
        ),
    ],
    key: Annotated[
        str | None, Doc("The field that names a record. Without it, a record is named by its place: `claims.jsonl:17`.")
    ] = None,
    encoding: Annotated[str, Doc("The text encoding of the files.")] = UTF8,
    max_record: Annotated[Size, Doc("A longer line is passed over and becomes a dead letter.")] = 32_000_000,
) -> "Jsonl":
    """Reads JSON lines."""
    return Jsonl(path, key=key, encoding=checked(encoding), max_record=max_record)


class Jsonl:
    """A source of JSON lines. Blank lines are passed over; a line that is no object with a key is `Unreadable`."""

    def __init__(self, path: Path, *, key: str | None, encoding: str, max_record: int) -> None:
        self._path = path
        self._key = key
        self._encoding = encoding
        self._max_record = max_record

    async def read(self, after: Cursor | None) -> AsyncGenerator[Page]:
        """Yields pages of at most 500 records or 512 KiB, or of one larger record.

        Only reading (and unpacking) is done in a thread: decoding there would fight the event loop for the interpreter,
        and a hop is worth half a mebibyte, not a page.
        """
        async with aclosing(paged(self._blocks(after))) as blocks:
            async for block in blocks:
                for page in self._pages(block):
                    yield page

    async def fingerprint(self) -> str | None:
        """Changes when a file does."""
        return await fingerprint(self._path)

    def _blocks(self, after: Cursor | None) -> Generator[Block]:
        for file, begin in remaining(self._path, after):
            with opened(file, begin.offset) as stream:
                lines, mark = Lines(stream, self._max_record), begin
                while found := lines.block():
                    block = self._overlong(mark, found, lines) if isinstance(found, Overlong) else _whole(mark, found)
                    yield block
                    mark = block.end

    def _overlong(self, mark: Mark, found: Overlong, lines: Lines) -> Block:
        size = len(found.head) + sum(map(len, lines.rest()))
        return Block(mark, self._too_long(mark, found.head, size), Mark(mark.file, mark.offset + size, mark.line + 1))

    def _pages(self, block: Block) -> Iterator[Page]:
        mark = block.begin
        if isinstance(block.content, Unreadable):
            yield Page([block.content], block.end.cursor())
            return
        decode = self._decoder(block.content)
        for part, size in _parts(block.content):
            items = self._items(mark, part, decode)
            mark = Mark(mark.file, mark.offset + size, mark.line + len(part))
            if items:
                yield Page(items, mark.cursor())

    def _decoder(self, block: bytes) -> "Decode":
        """Looks whether bytes are text once for many lines; where they are not, each line is looked at."""
        if self._encoding == UTF8 and is_utf8(block):
            return _decode
        return lambda line: _decode(line.decode(self._encoding).encode())

    def _items(self, mark: Mark, lines: list[bytes], decode: "Decode") -> list[Record | Unreadable]:
        """Takes lines apart: the loop that every record of a run passes, so it calls nothing it can do without."""
        name, key, value_of, limit = mark.file, self._key, _value, self._max_record
        items: list[Record | Unreadable] = []
        for number, line in enumerate(lines, mark.line):
            if len(line) > limit:
                items.append(self._too_long(Mark(name, line=number), line, len(line)))
                continue
            origin = f"{name}:{number}"
            try:
                data = decode(line)
                value = origin if key is None else value_of(data[key]) if key in data else None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                items.extend(self._mend(Mark(name, line=number), line, error))
                continue
            if type(value) is str and value:
                items.append(Record(value, Columns(data), origin))
            else:
                items.append(self._keyed(Columns(data), origin, line))
        return items

    def _mend(self, mark: Mark, line: bytes, error: Exception) -> list[Record | Unreadable]:
        """Looks again at a line that did not decode: blank, behind a byte order mark, or bad."""
        if mark.line == 1:
            refuse_utf16(mark.file, line)
            if line.startswith(BOM):
                return self._items(mark, [line[len(BOM) :]], self._decoder(line))
        if not line.strip():
            return []
        reason = garbled(line, self._encoding) or f"not a JSON object: {error}"
        return [Unreadable(f"{mark.file}:{mark.line}", reason, excerpt=excerpt(line, self._encoding))]

    def _keyed(self, data: Columns, origin: str, line: bytes) -> Record | Unreadable:
        """Finds a key that is not plain text."""
        column = self._key or ""
        value = data.get(column)
        if key := key_of(value):
            return Record(key, data, origin)
        return Unreadable(origin, no_key(column, value, data), excerpt=excerpt(line, self._encoding))

    def _too_long(self, mark: Mark, head: bytes, size: int) -> Unreadable:
        reason = f"the line has {megabytes(size)}, more than max_record ({megabytes(self._max_record)})"
        return Unreadable(f"{mark.file}:{mark.line}", reason, excerpt=excerpt(head, self._encoding))


def _whole(mark: Mark, lines: bytes) -> Block:
    """Makes a block of whole lines; a file's last line may have no end."""
    count = lines.count(b"\n") + (not lines.endswith(b"\n"))
    return Block(mark, lines, Mark(mark.file, mark.offset + len(lines), mark.line + count))


def _parts(block: bytes) -> Iterator[tuple[list[bytes], int]]:
    """Cuts a block of whole lines into pages, each with its size in bytes."""
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    left = len(block)
    for start in range(0, len(lines), PAGE):
        part = lines[start : start + PAGE]
        size = min(left, sum(map(len, part)) + len(part))  # a file's last line may have no end
        left -= size
        yield part, size
