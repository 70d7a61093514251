"""Reads CSV records with the byte offset at which each begins, holding no more than one record of the allowed size.

`csv.reader` is fed line by line, so the lines it has taken since its last record are the record. When it stops at an
error, or the record grows too large, `Quotes` finds where the record ends, and a new reader begins behind it.
"""

import csv
import io
from collections.abc import Generator, Iterator
from itertools import chain

import msgspec

from batchflow.builtin.sources.encoding import BOM, excerpt, garbled, megabytes, refuse_utf16
from batchflow.builtin.sources.lines import Lines, Overlong
from batchflow.builtin.sources.mark import Mark
from batchflow.builtin.sources.quotes import Quotes


class Dialect(msgspec.Struct, frozen=True):
    """How these files are written, and how large a record may be."""

    delimiter: str
    encoding: str
    limit: int


class BadRow(msgspec.Struct, frozen=True):
    """A record that cannot be read."""

    reason: str
    excerpt: str


class _TooLarge(Exception):
    """The record in hand is over the limit."""


class Rows:
    """Iterates over records. `began` is the line of the one just given; `offset` and `mark()` are where the next begins."""

    def __init__(self, lines: Lines, mark: Mark, dialect: Dialect) -> None:
        self.began = mark.line
        self._lines = lines
        self._dialect = dialect
        self._name, self.offset, self._line = mark.file, mark.offset, mark.line
        self._ahead: Iterator[bytes] = iter(())
        self._held: list[bytes] = []
        self._size = 0
        self._long: Overlong | None = None
        self._garbled = ""

    def mark(self) -> Mark:
        """Where the next record begins."""
        return Mark(self._name, self.offset, self._line)

    def __iter__(self) -> Generator[list[str] | BadRow]:
        """Yields the cells of each record, or what is wrong with it; blank lines are passed over."""
        # The library's limit of 128 KiB a cell is one number for the whole process: it is raised here, never lowered.
        csv.field_size_limit(max(csv.field_size_limit(), self._dialect.limit))
        while True:
            try:
                for cells in csv.reader(self._feed(), delimiter=self._dialect.delimiter, strict=True):
                    first, bad = self._held[0], self._garbled
                    self._end(len(self._held), self._size)
                    if bad:
                        yield BadRow(bad, excerpt(first, self._dialect.encoding))
                    elif cells:
                        yield cells
            except _TooLarge:
                yield self._pass_over(
                    f"has more than max_record ({megabytes(self._dialect.limit)}): is a quote never closed?"
                )
            except csv.Error as error:
                yield self._pass_over(f"is malformed: {error}")
            else:
                return

    def _feed(self) -> Iterator[str]:
        """Yields the lines that csv.reader asks for, and holds them until the record is complete."""
        encoding, limit = self._dialect.encoding, self._dialect.limit
        while True:
            for line in self._ahead:
                self._held.append(line)
                self._size += len(line)
                if self._size > limit:
                    raise _TooLarge
                try:
                    yield line.decode(encoding) if self.offset else self._first(line)
                except UnicodeDecodeError:
                    self._garbled = self._garbled or garbled(line, encoding)
                    yield line.decode(encoding, "replace")
            if not self._more():
                return
            if self._long:
                raise _TooLarge

    def _first(self, line: bytes) -> str:
        refuse_utf16(self._name, line)
        return line.removeprefix(BOM).decode(self._dialect.encoding)

    def _more(self) -> bool:
        """Takes another block of lines, or the head of a line that is too large."""
        block = self._lines.block()
        if isinstance(block, Overlong):
            self._long = block
        else:
            self._ahead = iter(io.BytesIO(block))
        return bool(block)

    def _end(self, lines: int, size: int) -> None:
        """Moves behind the record in hand."""
        self.began = self._line
        self._line += lines
        self.offset += size
        self._held, self._size, self._garbled = [], 0, ""

    def _pass_over(self, what: str) -> BadRow:
        """Reads on to the end of a bad record, without holding more of it."""
        quotes, lines, size = Quotes(self._dialect.delimiter), 0, 0
        head = self._held[0] if self._held else self._long.head if self._long else b""
        for piece in chain(self._held, self._pieces()):
            quotes.feed(piece)
            size += len(piece)
            lines += piece.endswith(b"\n")
            if piece.endswith(b"\n") and not quotes.open:
                break
        self._end(lines, size)
        reach = f" (it reaches to line {self.began + lines - 1})" if lines > 1 else ""
        return BadRow(f"the record {what}{reach}", excerpt(head, self._dialect.encoding))

    def _pieces(self) -> Iterator[bytes]:
        """Yields what comes next in whole lines, or in pieces of a line that is too large."""
        while True:
            for line in self._ahead:  # noqa: UP028 -- `yield from` would close the lines when this generator is left
                yield line
            if self._long:
                yield self._long.head
                self._long = None
                yield from self._lines.rest()
            elif not self._more():
                return
