r"""Templates made only of text and plain variables, filled with JSON that is never decoded.

A JSONL record's text arrives as a JSON string and leaves as part of one: its bytes between the quotes, escapes and all,
mean the same in either place. Copying them costs a microsecond a record; decoding, rendering and encoding costs five.
The source has checked that they are well-formed (`Columns`). Whatever is not a plain string there (a number, which
Jinja2 writes in Python's way, a list, a missing column) is left to the slow way. Tests show both to mean the same over
random templates and records.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter

import msgspec

from batchflow.builtin.builders.concatenation import WHOLE, Path

_encode = msgspec.json.Encoder().encode
_QUOTE = ord('"')
_BACKSLASH = ord("\\")


class Splice:
    """JSON with columns' texts in it. `fixed` stands before, between and after them, so it is one piece longer.

    Where `shows`, a record whose texts may be nothing but space is left to the slow way too, which knows what to say.
    """

    def __init__(self, fixed: Sequence[bytes], columns: Sequence[str], *, shows: bool = False) -> None:
        self.fixed = list(fixed)
        self.columns = list(columns)
        self.shows = shows
        self._pick = itemgetter(*columns, columns[0])  # one more, so that it always gives a tuple
        self._pieces: list[bytes | memoryview] = [b""] * (2 * len(columns) + 1)
        self._pieces[::2] = fixed

    def fill(self, raws: Mapping[str, msgspec.Raw]) -> bytes | None:
        """Fills in one record's columns; None for a record that has to be rendered."""
        try:
            *values, _ = self._pick(raws)
        except KeyError:
            return None
        texts = [value[1:-1] for value in map(memoryview, values) if value[0] == _QUOTE]
        if len(texts) != len(values) or (self.shows and not _shows(texts)):
            return None
        out = self._pieces.copy()
        out[1::2] = texts
        return b"".join(out)

    def fill_page(self, page: Sequence[Mapping[str, msgspec.Raw]]) -> list[bytes | None]:
        """Does the same for many records, a column at a time; the odd one among them has them filled in one by one."""
        try:
            columns = [[memoryview(raws[column]) for raws in page] for column in self.columns]
        except KeyError:
            return [self.fill(raws) for raws in page]
        if self.shows or any({value[0] for value in values} != {_QUOTE} for values in columns):
            return [self.fill(raws) for raws in page]
        pieces: list[Iterable[bytes | memoryview]] = [repeat(fixed) for fixed in self.fixed]
        for place, values in enumerate(columns):
            pieces.insert(2 * place + 1, [value[1:-1] for value in values])
        return list(map(b"".join, zip(*pieces, strict=False)))  # the fixed pieces repeat for ever


def splice(pieces: Sequence[str | Path], *, blank: bool) -> Splice | None:
    """Compiles a template into a JSON string; None where it has to be rendered. `blank` says that it may be empty."""
    columns = [piece.root for piece in pieces if isinstance(piece, Path) and not piece.steps and piece.root != WHOLE]
    if not columns or len(columns) != sum(isinstance(piece, Path) for piece in pieces):
        return None
    certain = blank or any(isinstance(piece, str) and not piece.isspace() for piece in pieces)
    return Splice(_between(pieces), columns, shows=not certain)


def joined(pieces: "Sequence[bytes | Splice]") -> Splice | None:
    """Makes one of constants and splices in turn, so that a record is filled in at once; None where one looks at its text."""
    fixed, columns = [b""], list[str]()
    for piece in pieces:
        if isinstance(piece, bytes):
            fixed[-1] += piece
        elif piece.shows:
            return None
        else:
            fixed = [*fixed[:-1], fixed[-1] + piece.fixed[0], *piece.fixed[1:]]
            columns += piece.columns
    return Splice(fixed, columns) if columns else None


def _between(pieces: Sequence[str | Path]) -> list[bytes]:
    """Encodes what stands before, between and after the columns; the first and the last have the string's quotes."""
    texts = [""]
    for piece in pieces:
        if isinstance(piece, Path):
            texts.append("")
        else:
            texts[-1] += piece
    fixed = [_encode(text)[1:-1] for text in texts]
    return [b'"' + fixed[0], *fixed[1:-1], fixed[-1] + b'"']


def _shows(texts: Sequence[bytes | memoryview]) -> bool:
    """Tells whether there is certainly something to see: a printable ASCII character first, behind spaces."""
    first = b"".join(texts).lstrip(b" ")[:1]
    return b" " < first < b"\x7f" and first[0] != _BACKSLASH
