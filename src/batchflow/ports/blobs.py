"""Where payloads are kept: immutable objects, written once and read many times."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from batchflow.model.blob import Blob


class BlobWriter(Protocol):
    """An object in the making."""

    async def write(self, data: bytes) -> None:
        """Appends."""
        ...

    async def finish(self) -> Blob:
        """Makes the object durable and visible under its name, all at once."""
        ...


class BlobStore(Protocol):
    """Keeps bytes by name. Names are relative paths of `[a-z0-9._/-]`, chosen by the caller and never reused.

    Errors are `ObjectDamaged` (missing, short, wrong checksum) and `StoreUnavailable` (disk full, read-only).
    """

    def create(self, name: str) -> AbstractAsyncContextManager[BlobWriter]:
        """Begins an object; leaving the block without `finish` leaves no trace of it."""
        ...

    def read(self, blob: Blob, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Streams an object or a range of it. Read to its end from 0, size and checksum are verified."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[str]:
        """Names the finished objects."""
        ...

    async def delete(self, name: str) -> None:
        """Removes an object; one that is not there is no error."""
        ...

    async def close(self) -> None:
        """Lets go; it may be called twice."""
        ...
