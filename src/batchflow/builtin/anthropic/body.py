"""The body of a create call, spliced together while it is sent.

    {"requests":[{"custom_id":"<token>-0","params":...},{"custom_id":"<token>-1","params":...}]}

Its length is known before its first byte and kept exactly. What was handed to the socket is counted, because that is
what tells a definite failure from one in doubt; and the closing two bytes are a piece of their own, because without
them no server can have understood the rest.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from math import ceil

from batchflow.model.errors import Bug
from batchflow.ports.provider import Outgoing

PIECE = 256 * 1024
_HEAD = b'{"requests":['
_TAIL = b"]}"
_ROW_HEAD = b'{"custom_id":"%b-%d","params":'
_ROW_TAIL = b"}"
_BETWEEN = _ROW_TAIL + b"," + _ROW_HEAD
_ROW_FRAME = len(_ROW_HEAD % (b"", 0)) - len("0") + len(_ROW_TAIL)
"""What a row adds to its token, number and params."""


def body_bytes(*, count: int, params_bytes: int, token_length: int) -> int:
    """The exact length of the body for so many rows, numbered from 0."""
    names = count * token_length + _digits(count)
    commas = max(count - 1, 0)
    return len(_HEAD) + count * _ROW_FRAME + names + params_bytes + commas + len(_TAIL)


class Body:
    """Hands the body out piece by piece; it can be asked for once."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self.length = body_bytes(
            count=outgoing.count, params_bytes=outgoing.params_bytes, token_length=len(outgoing.token)
        )
        self.handed = 0
        """Bytes that were handed to the socket: none means that none can have left."""
        self.fault: Exception | None = None
        """What went wrong on our side while the rows were read."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._checked()

    async def _checked(self) -> AsyncGenerator[bytes]:
        if self.handed:
            raise Bug(f"The body of create {self._outgoing.token} was asked for twice.")
        async with aclosing(self._exact()) as pieces:
            while piece := await self._next(pieces):
                self._outgoing.check()
                self.handed += len(piece)
                yield piece

    async def _next(self, pieces: AsyncGenerator[bytes]) -> bytes:
        try:
            return await anext(pieces, b"")
        except Exception as error:
            self.fault = error
            raise

    async def _exact(self) -> AsyncGenerator[bytes]:
        """Keeps the promise of `length`: whoever announced other rows than came breaks the call, never the framing."""
        sent = len(_TAIL)
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                sent += len(piece)
                if sent > self.length:
                    raise self._wrong_length(sent)
                yield piece
        if sent != self.length:
            raise self._wrong_length(sent)
        yield _TAIL

    async def _pieces(self) -> AsyncGenerator[bytes]:
        waiting, size = [_HEAD], len(_HEAD)
        token, row = self._outgoing.token.encode(), 0
        async for chunk in self._outgoing.chunks:
            if not chunk:
                continue
            for rows in _strides(chunk):
                waiting.append(_spliced(rows, token, row))
                row += len(rows)
                size += len(waiting[-1])
                if size >= PIECE:
                    for piece in _cut(b"".join(waiting)):  # of one, it is that one, and not copied
                        yield piece
                    waiting, size = [], 0
        if row:
            waiting.append(_ROW_TAIL)
        for piece in _cut(b"".join(waiting)):
            yield piece
        if row != self._outgoing.count:
            raise Bug(f"Create {self._outgoing.token} announced {self._outgoing.count} rows and was given {row}.")

    def _wrong_length(self, sent: int) -> Bug:
        return Bug(
            f"The rows of create {self._outgoing.token} do not have the length that was announced: "
            f"{sent:,} bytes, and {self.length:,} announced. The call was broken off before its end, so no batch can have "
            "been created."
        )


class Parcel:
    """A body that is there already, handed out in one piece and counted likewise."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)
        self.handed = 0

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        self.handed = self.length
        if self._content:
            yield self._content


def _spliced(chunk: Sequence[bytes], token: bytes, first: int) -> bytes:
    """Puts what goes between rows before each; the last row's end is left open. The rows are copied only once, by the join."""
    pieces = [b""] * (2 * len(chunk))
    pieces[::2] = [_BETWEEN % (token, row) for row in range(first, first + len(chunk))]
    pieces[1::2] = chunk
    if first == 0:
        pieces[0] = _ROW_HEAD % (token, 0)
    return b"".join(pieces)


def _strides(chunk: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Parts rows so that those of each part make one piece, as far as they are alike: a piece need not be copied then."""
    stride = max(1, ceil(1.1 * PIECE * len(chunk) / max(1, sum(map(len, chunk)))))
    return (chunk[start : start + stride] for start in range(0, len(chunk), stride))


def _cut(data: bytes) -> list[bytes]:
    """Cuts into pieces of at most twice PIECE; a huge row must not reach the socket in one go, unchecked."""
    if len(data) <= 2 * PIECE:
        return [data] if data else []
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


def _digits(count: int) -> int:
    """How many digits it takes to write the numbers 0 to count - 1."""
    digits, longer = count, 10
    while longer < count:
        digits += count - longer
        longer *= 10
    return digits
