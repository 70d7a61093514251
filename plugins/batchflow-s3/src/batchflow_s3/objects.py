"""The objects of a bucket as a shelf of files: listed a page at a time, and read as streams that begin anywhere.

A source's work is done in threads, where blocking is allowed; the client lives on the event loop. So what is asked here
is asked of the loop from a thread, in pieces of half a megabyte: two hops for each, about 0.2 ms.
"""

import io
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import xxhash
from anyio import from_thread
from botocore.exceptions import ClientError

from batchflow.lines import GONE, Found, Stream, entered, fits, shorter
from batchflow.plugin import SourceError
from batchflow_s3.bucket import Bucket, Entry
from batchflow_s3.flow import Flow
from batchflow_s3.place import Place
from batchflow_s3.trouble import code, is_missing, told_as

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK = 512 * 1024
KNOWN = "What was read before is safe"


class Item(Found, frozen=True):
    """An object that was listed."""

    key: str
    size: int
    etag: str


class Pattern:
    """Which keys of a bucket are meant: one object, all below a folder, or those that a pattern names."""

    def __init__(self, place: Place) -> None:
        steps = place.prefix.split("/")
        wild = next((n for n, step in enumerate(steps) if any(sign in step for sign in "*?[")), len(steps) - 1)
        self.folder = "".join(f"{step}/" for step in steps[:wild])
        self._steps = tuple(steps[wild:])
        self.prefix = self.folder + _until_wild(steps[wild])

    def name(self, key: str) -> str | None:
        """Gives an object's name below the folder; None for one that is not meant."""
        if not key.startswith(self.prefix):
            return None
        name = key.removeprefix(self.folder)
        steps = tuple(name.split("/"))
        if self._steps == ("",):
            # Names that begin with a low line are manifests and markers, and every reader of lakes passes over them.
            return (
                None if not name or name.endswith("/") or any(step.startswith(("_", ".")) for step in steps) else name
            )
        return name if fits(steps, self._steps) else None


def _until_wild(step: str) -> str:
    return step[: next((at for at, sign in enumerate(step) if sign in "*?["), len(step))]


class Objects:
    """Keeps `batchflow.lines.Shelf`."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._pattern = Pattern(bucket.place)
        self.name = str(bucket.place)

    def files(self, start: str | None = None) -> Iterator[Item]:
        """Lists in the order of keys, which is the same every time."""
        items = self._from(start) if start is not None else self._behind("")
        first = next(items, None)
        if first is None and start is None:
            raise SourceError(
                f"no object matches {self.name}", hint=f"look at what is there: aws s3 ls {self._shown()}"
            )
        return chain([first], items) if first else iter(())

    @contextmanager
    def opened(self, file: Found, offset: int = 0) -> Generator[Stream]:
        """Opens an object at an offset of its unpacked bytes."""
        assert isinstance(file, Item)
        with entered(file.path, offset, partial(self._begin, file)) as stream:
            yield stream

    async def fingerprint(self) -> str | None:
        """Changes when an object does: servers make its ETag from its bytes."""
        whole = xxhash.xxh3_128()
        with self.told():
            async for entry in self._bucket.entries(self._pattern.prefix):
                if (name := self._pattern.name(entry.key)) is not None:
                    whole.update(msgspec.json.encode((name, entry.size, entry.etag)))
        return whole.hexdigest()

    def told(self, path: str = "") -> AbstractContextManager[None]:
        """Says of what goes wrong in a block that this could not be read."""
        return told_as(SourceError, f"cannot read {path or self.name}", KNOWN)

    def _begin(self, file: Item, at: int) -> io.BufferedReader:
        if at > file.size:
            raise shorter(file.path, at)
        return io.BufferedReader(Reading(self._bucket, file, at), BLOCK)

    def _from(self, name: str) -> Iterator[Item]:
        key = self._pattern.folder + name
        try:
            with self.told():
                found = from_thread.run(self._bucket.entry, key)
        except SourceError as error:
            if error.__cause__ is not None and is_missing(error.__cause__):
                return
            raise
        yield from self._meant([found])
        yield from self._behind(key)

    def _behind(self, after: str | None) -> Iterator[Item]:
        while after is not None:
            with self.told():
                page, after = from_thread.run(self._bucket.page, self._pattern.prefix, after)
            yield from self._meant(page)

    def _meant(self, page: list[Entry]) -> Iterator[Item]:
        for entry in page:
            if (name := self._pattern.name(entry.key)) is not None:
                yield Item(name, self._bucket.place.url(entry.key), entry.key, entry.size, entry.etag)

    def _shown(self) -> str:
        return self._bucket.place.url(self._pattern.folder)


class Reading(io.RawIOBase):
    """An object's bytes from a place on, for a thread; only the version that was listed."""

    def __init__(self, bucket: Bucket, item: Item, at: int) -> None:
        super().__init__()
        self._item = item
        self._flow = Flow(bucket, item.key, item.size, at=at, etag=item.etag)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        data = from_thread.run(self._take, len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._flow.close()
        super().close()

    async def _take(self, wanted: int) -> bytes:
        with told_as(SourceError, f"cannot read {self._item.path}", KNOWN):
            try:
                return await self._flow.take(wanted)
            except ClientError as error:
                if code(error) in {"PreconditionFailed", "412"} or is_missing(error):
                    raise SourceError(
                        f"{self._item.path} was changed or removed while it was being read", hint=GONE
                    ) from error
                raise
