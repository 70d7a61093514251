"""The real clock: the one place that asks the machine what time it is."""

import time

import anyio


class SystemClock:
    """Wall time, boot time, and waiting in the event loop."""

    def now(self) -> float:
        return time.time()

    def boot(self) -> float:
        # Only CLOCK_BOOTTIME goes on while a laptop sleeps, and a POST must not outlive its lease by a closed lid.
        # Where a system has none, monotonic is the nearest there is: it never jumps, but it may stand still.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
