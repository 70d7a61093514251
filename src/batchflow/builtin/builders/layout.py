"""A request's JSON with holes: encoded once when the job starts, filled once per record.

A layout is made from a tree of plain values in which some leaves are slots. Everything between two slots becomes one
constant run of bytes, so that a record costs its own texts and one join. Keys keep the order of the tree: the same
record gives the same bytes, which prompt caching and every checksum downstream rely on.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from batchflow.builtin.builders.shapes import Data, is_list, is_map
from batchflow.builtin.builders.splice import Splice, joined
from batchflow.model.record import Columns

_encode = msgspec.json.Encoder().encode


@runtime_checkable
class Slot(Protocol):
    """A leaf that differs from record to record. `splice`, where there is one, does what `fill` does."""

    @property
    def splice(self) -> Splice | None: ...

    def fill(self, data: Data) -> bytes:
        """Makes the JSON value that stands here."""
        ...


class Layout:
    """JSON text with slots in it; itself a slot, so that layouts nest."""

    def __init__(self, tree: Any) -> None:
        pieces = list(_merged(_walk(tree)))
        self._pieces = [piece if isinstance(piece, bytes) else b"" for piece in pieces]
        self._slots = [(place, piece.fill) for place, piece in enumerate(pieces) if not isinstance(piece, bytes)]
        parts = [piece if isinstance(piece, bytes) else piece.splice for piece in pieces]
        found = [part for part in parts if part is not None]
        self.splice = joined(found) if len(found) == len(parts) else None

    def fill(self, data: Data) -> bytes:
        """Fills every slot from one record; at once where all of them are filled with columns as they were read."""
        if self.splice is not None and type(data) is Columns and (made := self.splice.fill(data.raw)) is not None:
            return made
        pieces = self._pieces.copy()
        for place, fill in self._slots:
            pieces[place] = fill(data)
        return b"".join(pieces)

    def fill_page(self, page: Sequence[Data]) -> list[bytes | None]:
        """Fills many records' slots as far as that goes at once; None is left for `fill`."""
        raws = [data.raw for data in page if type(data) is Columns]
        if self.splice is None or len(raws) < len(page):
            return [None] * len(page)
        return self.splice.fill_page(raws)


def _walk(tree: Any) -> Iterator[bytes | Slot]:
    if isinstance(tree, Slot):
        yield tree
    elif is_map(tree):
        yield from _between(b"{", (_member(key, value) for key, value in tree.items()), b"}")
    elif is_list(tree):
        yield from _between(b"[", (_walk(item) for item in tree), b"]")
    else:
        yield _encode(tree)


def _member(key: str, value: Any) -> Iterator[bytes | Slot]:
    yield _encode(key) + b":"
    yield from _walk(value)


def _between(opening: bytes, members: Iterable[Iterator[bytes | Slot]], closing: bytes) -> Iterator[bytes | Slot]:
    yield opening
    for place, member in enumerate(members):
        if place:
            yield b","
        yield from member
    yield closing


def _merged(pieces: Iterable[bytes | Slot]) -> Iterator[bytes | Slot]:
    """Joins neighbouring constants."""
    constant = b""
    for piece in pieces:
        if isinstance(piece, bytes):
            constant += piece
            continue
        yield constant
        yield piece
        constant = b""
    yield constant
