"""One budget of bytes for everything that is in memory at once: build, submit, collect and deliver share it."""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

MIB = 1 << 20
BUDGET = 24 * MIB


class Memory:
    """Hands out bytes in the order they were asked for. A demand over the whole budget is cut to it, and so goes alone."""

    def __init__(self, total: int = BUDGET) -> None:
        self.total = total
        self._free = total
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncGenerator[int]:
        """Hold up to `size` bytes while the block runs."""
        size = min(max(size, 0), self.total)
        await self._acquire(size)
        try:
            yield size
        finally:
            self._free += size
            self._wake()

    async def _acquire(self, size: int) -> None:
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        turn = anyio.Event()
        self._waiting.append((size, turn))
        try:
            await turn.wait()
        except BaseException:
            self._leave(size, turn)
            raise

    def _leave(self, size: int, turn: anyio.Event) -> None:
        """Give up a place in the line, or give back what was granted a moment before."""
        if turn.is_set():
            self._free += size
        else:
            self._waiting.remove((size, turn))
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            self._free -= size
            turn.set()
