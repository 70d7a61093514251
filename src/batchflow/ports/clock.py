"""What time it is, for whoever is allowed to ask: the engine."""

from typing import Protocol


class Clock(Protocol):
    """Two clocks and a way to wait."""

    def now(self) -> float:
        """Wall time, seconds since the epoch."""
        ...

    def boot(self) -> float:
        """CLOCK_BOOTTIME: it never jumps, and it counts while the machine or the process sleeps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...
