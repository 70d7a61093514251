"""The simulator's own time, so that 24 hours can pass in a second and tests can move the hands themselves.

Nothing in the simulator runs in the background: every request asks this clock what time it is and works out what
must have happened by then. That is why turning the hands is enough to expire a batch.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate

HOUR = 3600.0
DAY = 24 * HOUR


class SimClock:
    """Virtual seconds since the epoch: real time multiplied by `speed`, plus what was advanced by hand."""

    def __init__(
        self,
        *,
        speed: float = 1.0,
        start: float | None = None,
        real: Callable[[], float] = time.monotonic,
    ) -> None:
        if speed < 0:
            raise ValueError(f"speed must not be negative: {speed}")
        self._real = real
        self._speed = speed
        self._mark = real()
        self._base = time.time() if start is None else start

    @property
    def speed(self) -> float:
        """How many virtual seconds pass in a real one; 0 means that time stands still between `advance` calls."""
        return self._speed

    def now(self) -> float:
        """The virtual time, in seconds since the epoch."""
        return self._base + (self._real() - self._mark) * self._speed

    def advance(self, seconds: float) -> float:
        """Moves the hands forward and says the new time; they never go back."""
        if seconds < 0:
            raise ValueError(f"the clock only moves forward, not by {seconds} seconds")
        self._base += seconds
        return self.now()

    def run_at(self, speed: float) -> None:
        """Changes the speed from now on, without a jump."""
        if speed < 0:
            raise ValueError(f"speed must not be negative: {speed}")
        self._base, self._mark, self._speed = self.now(), self._real(), speed


def rfc3339(moment: float) -> str:
    """The wire form of a timestamp: UTC with microseconds and a Z."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def http_date(moment: float) -> str:
    """The form of the Date header."""
    return formatdate(moment, usegmt=True)
