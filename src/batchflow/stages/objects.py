"""How lines are kept in objects: independent zstd frames of a mebibyte or two, and a footer that finds a row again.

    frame, frame, ..., footer (a zstd skippable frame, so that `zstd -d` still reads the object)

Lines are JSON, so a newline ends each; here it is part of its line, written and read. A frame is decompressed without
its neighbours; the footer lists each frame's stored size and number of lines, and, where lines are not in row order, which
row each line is.
"""

from array import array
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from io import BytesIO
from itertools import accumulate

import msgspec
import zstandard

from batchflow.model.blob import Blob
from batchflow.model.errors import ObjectDamaged
from batchflow.ports.blobs import BlobStore, BlobWriter

FRAME = 1 << 20
"""What a frame is cut at; it may be twice as large, and larger only for the sake of one line."""
LEVEL = 1
NO_ROW = 0xFFFFFFFF
_SKIPPABLE = b"\x50\x2a\x4d\x18"
_TAIL = 4
_MARK = b"bflw"


class Footer(msgspec.Struct, frozen=True, array_like=True):
    """What is needed to find a line: `frames` are (stored bytes, lines), `rows` the row of each line if not in order."""

    frames: tuple[tuple[int, int], ...]
    raw_bytes: int
    rows: bytes = b""

    @property
    def lines(self) -> int:
        """Count the lines of the object."""
        return sum(lines for _, lines in self.frames)

    def order(self) -> "array[int] | None":
        """Give the row of each line, or None where line n is row n."""
        return array("I", self.rows) if self.rows else None


class LinesWriter:
    """Writes lines into an object, holding at most one frame.

    `summed` gives frames checksums of their own, for readers who use one before they have read the whole object, whose
    checksum is told at its end. A create call needs none: it is not closed before that.
    """

    def __init__(self, writer: BlobWriter, *, summed: bool = True) -> None:
        self._writer = writer
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=summed, write_content_size=True)
        self._open: list[bytes] = []
        self._open_lines = 0
        self._open_bytes = 0
        self._frames: list[tuple[int, int]] = []
        self._raw_bytes = 0

    async def write(self, pieces: Sequence[bytes], *, lines: int, size: int) -> None:
        """Append pieces that are so many whole lines and so many bytes together."""
        self._open.extend(pieces)
        self._open_lines += lines
        self._open_bytes += size
        if self._open_bytes >= FRAME:
            await self._cut()

    async def write_values(self, values: Sequence[bytes]) -> None:
        """Append lines that have no newlines yet."""
        for some in _framed(values):
            pieces = [b"\n"] * (2 * len(some))
            pieces[::2] = some
            await self.write(pieces, lines=len(some), size=sum(map(len, some)) + len(some))

    async def finish(self, rows: "array[int] | None" = None) -> Blob:
        """Close the object, making it durable; `rows` says which row each line is when they are not in row order."""
        await self._cut()
        footer = Footer(tuple(self._frames), self._raw_bytes, rows.tobytes() if rows is not None else b"")
        # With a checksum of its own: it is read alone, and a wrong row number would give an answer to somebody else.
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        payload = compressor.compress(msgspec.msgpack.encode(footer))
        body = payload + len(payload).to_bytes(_TAIL, "little") + _MARK
        await self._writer.write(_SKIPPABLE + len(body).to_bytes(4, "little") + body)
        return await self._writer.finish()

    async def _cut(self) -> None:
        """Write what is open as a frame."""
        if not self._open_lines:
            return
        # Copied, for what zstandard gives keeps the room for the worst case: a mebibyte, however little is in it.
        frame = bytes(memoryview(self._compressor.compress(b"".join(self._open))))
        self._frames.append((len(frame), self._open_lines))
        self._raw_bytes += self._open_bytes
        self._open, self._open_lines, self._open_bytes = [], 0, 0
        await self._writer.write(frame)


def _framed(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Part lines that are more than a frame: large records come many at a time, too."""
    start = 0
    if sum(map(len, lines)) + len(lines) > FRAME:
        ends = list(accumulate(len(line) + 1 for line in lines))
        while ends[-1] - (begun := ends[start - 1] if start else 0) > FRAME:
            end = max(bisect_right(ends, begun + FRAME), start + 1)
            yield lines[start:end]
            start = end
    if start < len(lines):
        yield lines[start:]


async def read_footer(blobs: BlobStore, blob: Blob) -> Footer:
    """Read an object's footer without its frames."""
    tail = await _range(blobs, blob, max(0, blob.size - 64 * 1024), None)
    size = int.from_bytes(tail[-_TAIL - len(_MARK) : -len(_MARK)], "little") if tail.endswith(_MARK) else -1
    end = len(tail) - _TAIL - len(_MARK)
    if size > end:
        tail = await _range(blobs, blob, max(0, blob.size - size - _TAIL - len(_MARK)), None)
        end = len(tail) - _TAIL - len(_MARK)
    if size < 0 or size > end:
        raise _damaged(blob, "it has no footer")
    try:
        return msgspec.msgpack.decode(zstandard.decompress(tail[end - size : end]), type=Footer)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise _damaged(blob, f"its footer cannot be read ({error})") from error


async def read_frames(blobs: BlobStore, blob: Blob, footer: Footer) -> AsyncGenerator[list[bytes]]:
    """Stream an object's lines, a frame at a time; the whole object's checksum is verified on the way."""
    sizes = iter(footer.frames)
    stored, lines = next(sizes, (0, 0))
    buffer = bytearray()
    unpack = zstandard.ZstdDecompressor().decompress
    pieces = blobs.read(blob)
    try:
        async for piece in pieces:
            buffer += piece
            while stored and len(buffer) >= stored:
                yield _lines(blob, unpack, memoryview(buffer)[:stored], lines)
                del buffer[:stored]
                stored, lines = next(sizes, (0, 0))
    finally:
        await pieces.aclose()
    if stored:
        raise _damaged(blob, "it ends early")


async def read_line(blobs: BlobStore, blob: Blob, footer: Footer, number: int) -> bytes:
    """Read one line by its number, without its newline. All of the object is read: else nothing would vouch for the line."""
    first, found = 0, None
    async for lines in read_frames(blobs, blob, footer):
        if first <= number < first + len(lines):
            found = lines[number - first]
        first += len(lines)
    if found is None:
        raise _damaged(blob, f"it has no line {number}")
    return found[:-1]


def _lines(
    blob: Blob, unpack: Callable[[bytes | memoryview], bytes], frame: bytes | memoryview, expected: int
) -> list[bytes]:
    try:
        raw = unpack(frame)
    except zstandard.ZstdError as error:
        raise _damaged(blob, f"a frame cannot be decompressed ({error})") from error
    lines = BytesIO(raw).readlines()  # jumps from newline to newline; `split` looks at every byte
    if len(lines) != expected:
        raise _damaged(blob, f"a frame holds {len(lines)} lines instead of {expected}")
    return lines


async def _range(blobs: BlobStore, blob: Blob, start: int, length: int | None) -> bytes:
    pieces = blobs.read(blob, start=start, length=length)
    return b"".join([piece async for piece in pieces])


def _damaged(blob: Blob, what: str) -> ObjectDamaged:
    return ObjectDamaged(
        f"object {blob.name} is damaged: {what}",
        hint="put it back from a copy of the state folder, then run the same command again",
    )
