"""Reads JSON lines: one object a line, in one file or many, plain or compressed."""

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from batchflow.builtin.sources.encoding import (
    BOM,
    UTF8,
    checked,
    excerpt,
    garbled,
    half_a_pair,
    is_utf8,
    megabytes,
    refuse_utf16,
)
from batchflow.builtin.sources.lines import Lines, Overlong
from batchflow.builtin.sources.mark import Mark, remaining
from batchflow.builtin.sources.paged import paged
from batchflow.builtin.sources.shelf import Folder, Shelf
from batchflow.machine.keys import key_of, no_key
from batchflow.model.record import Columns, Cursor, Page, Record, Unreadable
from batchflow.model.target import Target
from batchflow.model.units import Doc, Size
from batchflow.ports.source import Covering

PAGE = 500

_lines = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decode, _decode_lines = _lines.decode, _lines.decode_lines
"""These check everything about a line but its UTF-8, and decode no value: most are only copied into the request."""

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
    return Jsonl(Folder(path), key=key, encoding=checked(encoding), max_record=max_record)


class Jsonl:
    """A source of JSON lines. Blank lines are passed over; a line that is no object with a key is `Unreadable`."""

    def __init__(self, shelf: Shelf, *, key: str | None, encoding: str, max_record: int) -> None:
        self._shelf = shelf
        self._key = key
        self._encoding = encoding
        self._max_record = max_record

    async def read(self, after: Cursor | None) -> AsyncGenerator[Page]:
        """Yields pages of about a mebibyte, or of one larger record; where something is wrong, of at most 500 lines.

        Only reading (and unpacking) is done in a thread: decoding there would fight the event loop for the interpreter,
        and a hop is worth a mebibyte, not a page.
        """
        async with aclosing(paged(self._blocks(after))) as blocks:
            async for block in blocks:
                for page in self._pages(block):
                    yield page

    async def fingerprint(self) -> str | None:
        """Changes when a file does."""
        return await self._shelf.fingerprint()

    def covers(self, target: Target) -> bool:
        """Tells whether one of the files would be what a sink writes."""
        return isinstance(self._shelf, Covering) and self._shelf.covers(target)

    def _blocks(self, after: Cursor | None) -> Generator[Block]:
        for file, begin in remaining(self._shelf, after):
            with self._shelf.opened(file, begin.offset) as stream:
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
        if (records := self._at_once(block, block.content)) is not None:
            yield Page(list(records), block.end.cursor())
            return
        for part, size in _parts(block.content):
            items = self._items(mark, part)
            mark = Mark(mark.file, mark.offset + size, mark.line + len(part))
            if items:
                yield Page(items, mark.cursor())

    def _at_once(self, block: Block, content: bytes) -> list[Record] | None:
        """Takes a block apart in one call; None where it may be more than objects with keys, one a line."""
        if self._encoding != UTF8 or len(content) > self._max_record or not is_utf8(content):
            return None
        try:
            rows = _decode_lines(content)
        except (msgspec.DecodeError, RecursionError):
            return None
        # Blank lines, or objects that do not keep to their lines: whatever was meant, each line is looked at alone.
        return self._records(block.begin, rows) if len(rows) == block.end.line - block.begin.line else None

    def _records(self, mark: Mark, rows: "list[dict[str, msgspec.Raw]]") -> list[Record] | None:
        """Names records: what nearly every one of a run passes, so it calls nothing it can do without."""
        name, columns = mark.file, Columns
        origins = [f"{name}:{number}" for number in range(mark.line, mark.line + len(rows))]
        keys = origins if self._key is None else _keys(self._key, rows)
        if keys is None:
            return None
        return [Record(key, columns(data), origin) for key, data, origin in zip(keys, rows, origins, strict=True)]

    def _items(self, mark: Mark, lines: list[bytes]) -> list[Record | Unreadable]:
        """Takes lines apart one by one, and says of each bad one what is wrong with it."""
        name, key, limit = mark.file, self._key, self._max_record
        items: list[Record | Unreadable] = []
        for number, line in enumerate(lines, mark.line):
            if len(line) > limit:
                items.append(self._too_long(Mark(name, line=number), line, len(line)))
                continue
            origin = f"{name}:{number}"
            try:
                data = Columns(_decode(line.decode(self._encoding).encode()))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                items.extend(self._mend(Mark(name, line=number), line, error))
            else:
                items.append(Record(origin, data, origin) if key is None else self._keyed(key, data, origin, line))
        return items

    def _mend(self, mark: Mark, line: bytes, error: Exception) -> list[Record | Unreadable]:
        """Looks again at a line that did not decode: blank, behind a byte order mark, or bad."""
        if mark.line == 1:
            refuse_utf16(mark.file, line)
            if line.startswith(BOM):
                return self._items(mark, [line[len(BOM) :]])
        if not line.strip():
            return []
        why = "it is nested deeper than can be read" if isinstance(error, RecursionError) else str(error)
        reason = garbled(line, self._encoding) or half_a_pair(line) or f"not a JSON object: {why}"
        return [Unreadable(f"{mark.file}:{mark.line}", reason, excerpt=excerpt(line, self._encoding))]

    def _keyed(self, column: str, data: Columns, origin: str, line: bytes) -> Record | Unreadable:
        value = data.get(column)
        if key := key_of(value):
            return Record(key, data, origin)
        reason = no_key(column, value, data)
        return Unreadable(origin, reason, excerpt=excerpt(line, self._encoding), columns=tuple(data))

    def _too_long(self, mark: Mark, head: bytes, size: int) -> Unreadable:
        reason = f"the line has {megabytes(size)}, more than max_record ({megabytes(self._max_record)})"
        return Unreadable(f"{mark.file}:{mark.line}", reason, excerpt=excerpt(head, self._encoding))


def _keys(column: str, rows: "list[dict[str, msgspec.Raw]]") -> list[str] | None:
    """Reads the keys of a block in one go; None where one is missing, or cannot be one."""
    try:
        values = _value(b"[%b]" % b",".join([row[column] for row in rows]))
    except (KeyError, msgspec.DecodeError):
        return None
    keys = [value if type(value) is str else key_of(value) for value in values]
    return keys if all(keys) else None


def _whole(mark: Mark, lines: bytes) -> Block:
    """Makes a block of whole lines; a file's last line may have no end."""
    # `count` of a single byte looks at every byte; `find` jumps, and is three times as quick.
    count, at = 0, -1
    while (at := lines.find(b"\n", at + 1)) >= 0:
        count += 1
    count += not lines.endswith(b"\n")
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
