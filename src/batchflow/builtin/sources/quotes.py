"""Follows whether a quoted CSV cell is open, without holding any of it.

`csv` gives no answer once it has stopped at an error, and holds every cell whole. This finds the end of a record that is
too large or malformed, so that reading goes on at the next *record*: taking up at the next line would make records out of
the inside of a cell, and every one of them would be paid for.
"""

import re
from enum import Enum, auto


class At(Enum):
    """Where the last byte has led."""

    CELL = auto()  # the beginning of a cell
    PLAIN = auto()  # in a cell without quotes, where a quote is a letter like any other
    QUOTED = auto()
    QUOTE = auto()  # behind a quote in a quoted cell: it closes the cell, unless another one follows


class Quotes:
    """Is fed a record's bytes from its beginning; `open` tells whether it ends in an open quoted cell."""

    def __init__(self, delimiter: str) -> None:
        self._token = re.compile(rb'"+|\n|\r|%b' % re.escape(delimiter.encode()))
        self._at = At.CELL

    @property
    def open(self) -> bool:
        """A line's end here is part of a cell, not the end of the record."""
        return self._at is At.QUOTED

    def feed(self, piece: bytes) -> None:
        """Goes on over some bytes."""
        end = 0
        for token in self._token.finditer(piece):
            if token.start() > end:
                self._letters()
            end = token.end()
            if piece[token.start()] == 0x22:
                self._quotes(end - token.start())
            elif self._at is not At.QUOTED:
                self._at = At.CELL
        if len(piece) > end:
            self._letters()

    def _letters(self) -> None:
        if self._at is not At.QUOTED:
            self._at = At.PLAIN

    def _quotes(self, count: int) -> None:
        match self._at:
            case At.PLAIN:
                return
            case At.CELL:
                inside = count % 2 == 1
            case At.QUOTED:
                inside = count % 2 == 0
            case At.QUOTE:
                inside = count % 2 == 1
        self._at = At.QUOTED if inside else At.QUOTE
