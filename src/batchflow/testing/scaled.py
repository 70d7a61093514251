"""A clock that runs faster than real time, for tests that talk to real sockets.

`ManualClock` must know when everybody waits, and no loop can see whether a server is at work. This one needs to know
nothing: ten minutes of grace pass in a second or two, whatever happens at the other end of a connection.
"""

import time

import anyio


class ScaledClock:
    """Keeps `ports.clock.Clock`. Wall time runs `speed` times faster, and waits are as much shorter.

    Boot time stays real: it measures leases and the deadlines of calls, which a busy machine must not be made to miss.
    """

    def __init__(self, *, speed: float, now: float | None = None) -> None:
        if speed <= 0:
            raise ValueError(f"a clock that stands still or runs backwards would let nobody wake up: speed {speed}")
        self._speed = speed
        self._start = time.time() if now is None else now
        self._mark = time.monotonic()

    def now(self) -> float:
        return self._start + (time.monotonic() - self._mark) * self._speed

    def boot(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds) / self._speed)

    def shift_wall(self, seconds: float) -> None:
        """Sets the wall clock forward or back, as an operator or NTP would."""
        self._start += seconds
