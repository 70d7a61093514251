"""Payloads in a bucket instead of a folder: what a run sends and gets, written once and read many times.

An object is put, or completed, in one go: under its name it is whole, whatever was killed. The row that names it is
written after it, so a row never leads to nothing. What a killed process had sent of a large object is an upload that
nobody sees and that cannot be told from one of a living process; a lifecycle rule of the bucket ends those.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager
from typing import Annotated

import xxhash
from botocore.exceptions import ClientError

from batchflow.plugin import Blob, Doc, Mendable, ObjectDamaged, StoreUnavailable, checked_name, is_name
from batchflow_s3.bucket import Bucket
from batchflow_s3.client import Server
from batchflow_s3.flow import Flow, OtherSize
from batchflow_s3.growth import MIB, Growth
from batchflow_s3.place import Encryption, Place, access, folder_at, sealing
from batchflow_s3.trouble import code, is_missing, told_as
from batchflow_s3.upload import Upload

PIECE = 256 * 1024
SMALL = Growth(first=5 * MIB)
"""Several objects are in the making at once, so each holds as little as the server lets it."""
_CHANGED = frozenset({"PreconditionFailed", "412", "InvalidRange", "416"})
KIND = "application/octet-stream"
HALF = "No half object is left, and what was written before is safe."
HINT = "Put it back from an older version or a copy of the bucket, then run the same command again. Without one, `batchflow cancel` ends the run and keeps everything else."


def s3(
    *,
    url: Annotated[str, Doc('The folder in a bucket where the objects lie, "s3://lake/batchflow/".')],
    endpoint_url: Annotated[str | None, Mendable(), Doc("A server that speaks S3; by default AWS.")] = None,
    region: Annotated[str | None, Mendable(), Doc("The bucket's region; by default as the AWS tools find it.")] = None,
    path_style: Annotated[bool, Mendable(), Doc("Name the bucket in the path and not in the host.")] = False,
    sse: Annotated[Encryption | None, Doc("How the server is told to encrypt; by default as the bucket says.")] = None,
    kms_key: Annotated[str | None, Doc("The KMS key to encrypt with; `sse` is then aws:kms.")] = None,
) -> "S3Blobs":
    """Keeps objects in a bucket."""
    server = Server(access(endpoint_url=endpoint_url, region=region, path_style=path_style))
    return S3Blobs(folder_at(url), server, sealing(sse, kms_key))


class S3Blobs:
    """Keeps `batchflow.plugin.BlobStore` in a bucket."""

    def __init__(self, place: Place, server: Server, sealed: dict[str, str]) -> None:
        self._place = place
        self._bucket = Bucket(place, server, sealed)

    @asynccontextmanager
    async def create(self, name: str) -> AsyncGenerator["S3Writer"]:
        key = self._place.prefix + checked_name(name)
        async with Upload(self._bucket, key, KIND, SMALL) as upload:
            yield S3Writer(name, upload, self._place.url(key))

    async def read(self, blob: Blob, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        end = blob.size if length is None else min(start + length, blob.size)
        key = self._place.prefix + checked_name(blob.name)
        if start >= end:
            await self._look(blob, key)
            return
        flow = Flow(self._bucket, key, blob.size, at=start, end=end)
        async with aclosing(self._pieces(blob, flow, end - start)) as pieces:
            async for piece in pieces:
                yield piece

    async def list(self, prefix: str = "") -> AsyncGenerator[str]:
        with _told("list", str(self._place)):
            async for entry in self._bucket.entries(self._place.prefix + prefix):
                if is_name(name := entry.key.removeprefix(self._place.prefix)):
                    yield name

    async def delete(self, name: str) -> None:
        key = self._place.prefix + checked_name(name)
        with _told("remove", self._place.url(key)):
            await self._bucket.delete(key)

    async def close(self) -> None:
        await self._bucket.close()

    async def _pieces(self, blob: Blob, flow: Flow, left: int) -> AsyncGenerator[bytes]:
        """Gives an object piece by piece; read whole, it is held against its checksum before the last is given away."""
        check = xxhash.xxh3_128() if left == blob.size else None
        try:
            with self._found(blob):
                await flow.open()
            while left:
                with self._found(blob):
                    piece = await flow.take(min(PIECE, left))
                left -= len(piece)
                if check:
                    check.update(piece)
                if check and not left and check.hexdigest() != blob.checksum:
                    raise _damaged(blob, self._place.url(self._place.prefix + blob.name), "has another checksum")
                yield piece
        finally:
            flow.close()

    async def _look(self, blob: Blob, key: str) -> None:
        with self._found(blob):
            entry = await self._bucket.entry(key)
            if entry.size != blob.size:
                raise OtherSize(entry.size)

    @contextmanager
    def _found(self, blob: Blob) -> Generator[None]:
        """Says of an object what is wrong with it, and of everything else what is wrong with the server."""
        place = self._place.url(self._place.prefix + blob.name)
        with _told("read", place):
            try:
                yield
            except OtherSize as error:
                raise _damaged(blob, place, f"has {error.size} bytes, and {blob.size} were written") from error
            except ClientError as error:
                if is_missing(error):
                    raise _damaged(blob, place, "is not there") from error
                if code(error) in _CHANGED:
                    raise _damaged(blob, place, "has been changed or cut short") from error
                raise


class S3Writer:
    """An object in the making."""

    def __init__(self, name: str, upload: Upload, place: str) -> None:
        self._name = name
        self._upload = upload
        self._place = place
        self._check = xxhash.xxh3_128()

    async def write(self, data: bytes) -> None:
        self._check.update(data)
        with _told("write", self._place):
            await self._upload.write(data)

    async def finish(self) -> Blob:
        with _told("write", self._place):
            await self._upload.finish()
        return Blob(name=self._name, size=self._upload.size, checksum=self._check.hexdigest())


def _told(doing: str, place: str) -> AbstractContextManager[None]:
    return told_as(StoreUnavailable, f"cannot {doing} {place}", HALF)


def _damaged(blob: Blob, place: str, what: str) -> ObjectDamaged:
    return ObjectDamaged(
        f"The object {blob.name} is damaged: {place} {what}. It was written whole, so somebody has changed that since.",
        hint=HINT,
    )
