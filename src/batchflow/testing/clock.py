"""A clock that stands still until a test moves it, so that a day passes in a millisecond and always in the same order.

There are three ways to let time pass. `advance(s)` moves it at once. `await run_for(s)` moves it from one sleeper's
wake-up to the next and lets everybody work in between, so that a loop which sleeps again is woken again. Inside
`async with autojump():` nobody moves it by hand: whenever every task waits, it jumps to the next wake-up.
"""

import heapq
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

import anyio
import anyio.lowlevel
import anyio.to_thread

_TURNS = 25
"""Turns of the event loop given to those who were woken, before the next look at who waits."""

_Sleeper = tuple[float, int, anyio.Event]


class ManualClock:
    """Keeps `ports.clock.Clock`. Sleepers wake in the order of their deadlines; equal deadlines, in the order they came.

    Times start at round numbers that differ, so that wall time taken for boot time is noticed.
    """

    def __init__(self, *, now: float = 1_800_000_000.0, boot: float = 1_000.0) -> None:
        self._boot = boot
        self._ahead = now - boot
        """How far wall time is ahead of boot time."""
        self._sleepers: list[_Sleeper] = []
        self._arrivals = count()
        self._news = anyio.Event()

    def now(self) -> float:
        return self._boot + self._ahead

    def boot(self) -> float:
        return self._boot

    @property
    def sleepers(self) -> int:
        """How many are waiting."""
        return len(self._sleepers)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        sleeper = (self._boot + seconds, next(self._arrivals), anyio.Event())
        heapq.heappush(self._sleepers, sleeper)
        self._tell()
        try:
            await sleeper[2].wait()
        finally:
            self._forget(sleeper)

    def advance(self, seconds: float) -> None:
        """Moves both clocks at once and wakes whoever is due; they run when the caller next waits."""
        if seconds < 0:
            raise ValueError("time does not run backwards; `shift_wall` is what a clock being set looks like")
        self._move_to(self._boot + seconds)

    def shift_wall(self, seconds: float) -> None:
        """Sets the wall clock forward or back, as an operator or NTP would: nobody's sleep gets shorter."""
        self._ahead += seconds

    async def run_for(self, seconds: float) -> None:
        """Lets time pass from wake-up to wake-up, with room for everybody to work at each."""
        end = self._boot + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._move_to(self._sleepers[0][0])
            await self.settle()
        self._move_to(end)

    async def settle(self, quiet: float = 0.0) -> None:
        """Waits, without moving time, until every other task waits for something and anyio's threads are idle.

        What the loop cannot see, such as a socket or another library's thread, needs `quiet`: real seconds for which
        that must stay so.
        """
        while True:
            await _everybody_waits()
            news = self._news
            if quiet:
                await anyio.sleep(quiet)
                await _everybody_waits()
            if news is self._news:
                return

    @asynccontextmanager
    async def autojump(self, quiet: float = 0.0) -> AsyncGenerator[None]:
        """Within the block, time jumps to the next wake-up whenever everybody waits (see `settle` for `quiet`)."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._jump_for_ever, quiet)
            try:
                yield
            finally:
                group.cancel_scope.cancel()

    async def _jump_for_ever(self, quiet: float) -> None:
        while True:
            await self.settle(quiet)
            if self._sleepers:
                self._move_to(self._sleepers[0][0])
            else:
                await self._news.wait()

    def _move_to(self, boot: float) -> None:
        """Goes to a moment that is given, not added up: a sum of floats may fall short of the deadline for ever."""
        self._boot = max(self._boot, boot)
        while self._sleepers and self._sleepers[0][0] <= self._boot:
            heapq.heappop(self._sleepers)[2].set()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    def _forget(self, sleeper: _Sleeper) -> None:
        """Takes out one who was cancelled: nobody jumps to a deadline that nobody waits for."""
        if not sleeper[2].is_set():
            self._sleepers.remove(sleeper)
            heapq.heapify(self._sleepers)


async def _everybody_waits() -> None:
    threads = anyio.to_thread.current_default_thread_limiter()
    while True:
        # Turns first: anyio looks again only every 0.1 s when it finds somebody at work.
        for _ in range(_TURNS):
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        if not threads.borrowed_tokens:
            return
        await anyio.sleep(0.001)
