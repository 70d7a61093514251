"""Cuts a stream into blocks of whole lines, and never holds more than one line of the size that is allowed."""

from collections.abc import Iterator

import msgspec

from batchflow.builtin.sources.stream import Stream

BLOCK = 1024 * 1024
"""Enough to make a thread's hop (about 0.1 ms) cheap beside the records in it."""


class Overlong(msgspec.Struct, frozen=True):
    """The beginning of a line that is over the limit. What follows it must be taken with `Lines.rest`."""

    head: bytes


class Lines:
    """Gives a stream's lines in blocks of about a mebibyte."""

    def __init__(self, stream: Stream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._tail = b""

    def block(self) -> bytes | Overlong:
        """Gives some whole lines with their ends (the file's last may lack it); nothing at all is the end."""
        if cut := self._tail.rfind(b"\n") + 1:
            return self._keep(self._tail, cut)
        pieces, held = [self._tail], len(self._tail)
        while piece := self._stream.read(BLOCK):
            if cut := piece.rfind(b"\n") + 1:
                self._tail = piece[cut:]
                return b"".join([*pieces, memoryview(piece)[:cut]])  # a megabyte, copied once
            pieces.append(piece)
            held += len(piece)
            if held > self._limit:
                return Overlong(self._let_go(pieces))
        return self._let_go(pieces)

    def rest(self) -> Iterator[bytes]:
        """Gives what follows the head of an overlong line, in pieces, up to and with the line's end."""
        while piece := self._stream.read(BLOCK):
            if cut := piece.find(b"\n") + 1:
                yield self._keep(piece, cut)
                return
            yield piece

    def _keep(self, piece: bytes, cut: int) -> bytes:
        self._tail = piece[cut:]
        return piece[:cut]

    def _let_go(self, pieces: list[bytes]) -> bytes:
        self._tail = b""
        return b"".join(pieces)
