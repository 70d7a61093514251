"""One object a run: its parts, put together by the server when every one of them is there.

S3 objects cannot be appended to, so parts are written as always, where no reader looks, and joined at the end in an upload
whose pieces are copies. A piece has 5 MiB at least (only the last may be smaller) and 5 GiB at most, and there are 10,000:
parts that are large enough are copied without their bytes coming here, and smaller neighbours go through one buffer.

Exactly once comes from rounds. What is joined first are the parts of round 1; the object says of itself, in metadata that
appear with it and not before, through which round it is made. Parts that a run writes later are those of the next round,
which is joined to the object that is there. So whoever comes after a crash asks the object: either a round is in it, and
its parts are leftovers, or it is not, and they are all there, since nothing is removed before the object says so.
"""

import io
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial

import anyio
import msgspec
from botocore.exceptions import ClientError

from batchflow.plugin import SinkError
from batchflow_s3.bucket import Bucket, Entry, Parts
from batchflow_s3.flow import Flow, OtherSize
from batchflow_s3.growth import MIB
from batchflow_s3.names import PARTS, whole_in
from batchflow_s3.trouble import FOREIGN, is_missing
from batchflow_s3.upload import given_back

ROUND = "batchflow-round"
"""The word in an object's metadata that says through which round it is made."""
AT_ONCE = 8
"""Calls that are under way together: a server copies some 100 MB a second for each of them."""
BLOCK = 512 * 1024

Source = Entry | bytes
"""What is joined: an object, or bytes that are at hand, such as the header of a CSV."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How large pieces are at first, and what a server allows."""

    least: int = 5 * MIB
    most: int = 1024 * MIB
    """Less than is allowed: several copies of this size are made at once, and each is soon done."""
    largest: int = 5 * 1024 * MIB
    pieces: int = 10_000


S3 = Limits()


class Span(msgspec.Struct, frozen=True):
    """Some bytes of a source, which is named by its place in the list."""

    source: int
    start: int
    end: int


class Piece(msgspec.Struct, frozen=True):
    """Some bytes of the one object: copied by the server from one source, or gathered here from several."""

    spans: tuple[Span, ...]
    copied: bool = False

    @property
    def size(self) -> int:
        """Counts its bytes."""
        return sum(span.end - span.start for span in self.spans)


def cut(sizes: Sequence[int], limits: Limits = S3) -> Iterator[Piece]:
    """Cuts sources into pieces. These are as small as can be, and doubled where there would be too many; `ValueError` where nothing helps."""
    least, most = limits.least, limits.most
    while sum(1 for _ in _pieces(sizes, least, most)) > limits.pieces:
        if least >= limits.largest:
            raise ValueError(f"{sum(sizes):,} bytes are more than one object holds")
        least, most = min(least * 2, limits.largest), min(most * 2, limits.largest)
    return _pieces(sizes, least, most)


def _pieces(sizes: Sequence[int], least: int, most: int) -> Iterator[Piece]:
    held: list[Span] = []
    lacking = least
    for source, size in enumerate(sizes):
        at = 0
        while at < size:
            if not held and size - at >= least:
                end = min(at + most, size)
                yield Piece((Span(source, at, end),), copied=True)
            else:
                end = min(at + lacking, size)
                held.append(Span(source, at, end))
                lacking -= end - at
                if not lacking:
                    yield Piece(tuple(held))
                    held, lacking = [], least
            at = end
    if held:
        yield Piece(tuple(held))


class OneObject:
    """The one object of a run and a sink, and the folder where its parts wait."""

    def __init__(self, bucket: Bucket, folder: str, format: str, kind: str, *, limits: Limits = S3) -> None:
        self.key = whole_in(folder, format)
        self._bucket = bucket
        self._waiting = f"{folder}{PARTS}/"
        self._kind = kind
        self._limits = limits
        self._round = 1

    @property
    def folder(self) -> str:
        """What the keys of parts begin with that are not in the object yet."""
        return f"{self._waiting}{self._round}/_"

    async def look(self) -> Entry | None:
        """Asks the object through which round it is made."""
        try:
            found = await self._bucket.about(self.key)
        except ClientError as error:
            if not is_missing(error):
                raise
            self._round = 1
            return None
        said = str(found.get("Metadata", {}).get(ROUND, ""))
        if not said.isdecimal():
            raise SinkError(
                f"{self._bucket.place.url(self.key)} does not say which parts are in it: it is not as this sink wrote it, or the server keeps no metadata. Nothing was touched.",
                hint="move it away, and bring every part again with `batchflow replay`; on a server without metadata set `object_per: part`",
            )
        self._round = 1 + int(said)
        return Entry(self.key, found["ContentLength"], found["ETag"])

    async def forget(self) -> None:
        """Begins anew, for somebody to whom every part will be brought again. The object goes last: till then this can be repeated."""
        await self.clear()
        await self._bucket.delete(self.key)
        self._round = 1

    async def join(self, head: bytes) -> None:
        """Puts every part that waits into the object. Done again, it comes to the same object."""
        there = await self.look()
        parts = [entry async for entry in self._bucket.entries(self.folder)]
        if parts:
            await self._make([there or head, *parts])
            await self.look()

    async def clear(self) -> None:
        """Removes what waits."""
        keys = [entry.key async for entry in self._bucket.entries(self._waiting)]
        await _together(partial(self._bucket.delete, key) for key in keys)

    async def _make(self, sources: Sequence[Source]) -> None:
        sizes = [len(one) if isinstance(one, bytes) else one.size for one in sources]
        try:
            pieces = list(cut(sizes, self._limits))
        except ValueError as error:
            raise SinkError(
                f"cannot put together {self._bucket.place.url(self.key)}: {error}. Every result is there, in its part.",
                hint=f"read the parts in {self._bucket.place.url(self._waiting)}, and use `object_per: part`",
            ) from error
        marked = {ROUND: str(self._round)}
        if len(pieces) == 1 and not pieces[0].copied:
            await self._bucket.put(self.key, await self._gathered(sources, pieces[0]), self._kind, marked)
            return
        parts, buffer = await self._bucket.begin(self.key, self._kind, marked), anyio.Lock()
        try:
            await _together(
                partial(self._send, parts, number, sources, piece, buffer) for number, piece in enumerate(pieces, 1)
            )
            await parts.complete()
        except BaseException:
            await given_back(parts)
            raise

    async def _send(
        self, parts: Parts, number: int, sources: Sequence[Source], piece: Piece, buffer: anyio.Lock
    ) -> None:
        span = piece.spans[0]
        source = sources[span.source]
        if piece.copied and not isinstance(source, bytes):
            await parts.copy(number, source, span.start, span.end)
            return
        async with buffer:
            await parts.add(await self._gathered(sources, piece), number)

    async def _gathered(self, sources: Sequence[Source], piece: Piece) -> io.BytesIO:
        held = io.BytesIO()
        for span in piece.spans:
            source = sources[span.source]
            if isinstance(source, bytes):
                held.write(source[span.start : span.end])
            else:
                await self._read(source, span, held)
        held.seek(0)
        return held

    async def _read(self, source: Entry, span: Span, into: io.BytesIO) -> None:
        flow = Flow(self._bucket, source.key, source.size, at=span.start, end=span.end, etag=source.etag)
        try:
            while data := await flow.take(BLOCK):
                into.write(data)
        except OtherSize as error:
            raise ConnectionError(f"{source.key} was listed with {source.size} bytes, and {error}") from error
        finally:
            flow.close()


async def _together(calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Makes calls, some at once; the first that fails ends the others and is raised as it is."""
    failed: list[Exception] = []
    room = anyio.Semaphore(AT_ONCE)

    async def make(call: Callable[[], Awaitable[None]]) -> None:
        try:
            await call()
        except FOREIGN as error:
            failed.append(error)
            tasks.cancel_scope.cancel()
        finally:
            room.release()

    async with anyio.create_task_group() as tasks:
        for call in calls:
            await room.acquire()
            tasks.start_soon(make, call)
    if failed:
        raise failed[0]
