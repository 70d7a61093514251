"""One object from a stream of bytes, in constant memory: small ones are put, larger ones go up in parts."""

import io
from contextlib import suppress
from types import TracebackType
from typing import Self

import anyio

from batchflow_s3.bucket import Bucket, Parts
from batchflow_s3.growth import S3, Growth
from batchflow_s3.trouble import FOREIGN

ABORT = 10.0
"""Seconds that a cancelled or failing writer spends on giving back what it sent; the next `open` sweeps what is left."""


async def given_back(parts: Parts) -> None:
    """Ends an upload that comes to nothing, also for somebody who was cancelled."""
    with anyio.move_on_after(ABORT, shield=True), suppress(*FOREIGN):
        await parts.abort()


class Upload:
    """An object in the making: visible once `finish` has returned, and never half. Leaving the block gives the rest back."""

    def __init__(self, bucket: Bucket, key: str, kind: str, growth: Growth = S3) -> None:
        self._bucket = bucket
        self._key = key
        self._kind = kind
        self._growth = growth
        self._held = io.BytesIO()
        self._parts: Parts | None = None
        self.size = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._parts:
            await given_back(self._parts)

    async def write(self, data: bytes) -> None:
        """Takes more; sends a part whenever one is full."""
        left = memoryview(data)
        while left:
            room = self._full() - self._held.tell()
            self.size += self._held.write(left[:room])
            left = left[room:]
            if self._held.tell() == self._full():
                await self._send()

    async def finish(self) -> None:
        """Makes the object visible."""
        if self._parts is None:
            await self._bucket.put(self._key, self._taken(), self._kind)
            return
        if self._held.tell():
            await self._send()
        await self._parts.complete()
        self._parts = None

    def _full(self) -> int:
        return self._growth.size(self._parts.next if self._parts else 1)

    async def _send(self) -> None:
        if self._parts is None:
            self._parts = await self._bucket.begin(self._key, self._kind)
        await self._parts.add(self._taken())

    def _taken(self) -> io.BytesIO:
        taken, self._held = self._held, io.BytesIO()
        taken.seek(0)
        return taken
