"""Notices when the event loop stands still because code of others blocks it, and names that code.

While it stands nothing can be read, sent or delivered, no wish is heard, and the driver's lease is not renewed. Nobody in the
loop could say so; a thread can, and can look at the loop's stack.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Collection
from types import FrameType

from batchflow.stages.asked import in_part
from batchflow.stages.culprit import culprit, frames
from batchflow.stages.wall import named

LOOK = 1.0
"""How often the loop is asked for a sign of life."""
LONG = 5.0
"""Seconds without one after which somebody is named."""
_log = logging.getLogger("batchflow")


class Watchdog:
    """Watches the loop for one driver, while that drives; it accuses nobody for whom another driver is to answer."""

    def __init__(self, job: str, parts: Collection[object], driver: object) -> None:
        self._job = job
        self._parts = parts
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._alive = time.monotonic()
        self._off = threading.Event()
        self.found: list[str] = []
        """What was seen and is not written down yet."""

    def __enter__(self) -> "Watchdog":
        """Begin to watch."""
        threading.Thread(target=self._watch, name="batchflow watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no longer."""
        self._off.set()

    def _watch(self) -> None:
        told = False
        while not self._off.wait(LOOK):
            if time.monotonic() - self._alive < LONG:
                told = False
            elif not told:
                told = self._look()
            try:
                self._loop.call_soon_threadsafe(self._sign)
            except RuntimeError:
                return  # the loop is closed

    def _sign(self) -> None:
        self._alive = time.monotonic()

    def _look(self) -> bool:
        """Tell who holds the loop, if it is code of others that this driver has called."""
        stack = frames(self._thread)
        line = culprit(stack) if self._is_ours(stack) else ""
        if line:
            text = (
                f"{self._whose(stack)}{line}, blocks the event loop: nothing else can go on until it comes back. It should "
                "await, or be written without `async`: then it has a thread of its own"
            )
            self.found.append(text)
            _log.warning("job %s: %s. Nothing paid for is lost if this process is killed", self._job, text)
        return bool(line)

    def _is_ours(self, stack: list[FrameType]) -> bool:
        parts = [frame.f_locals.get("part") for frame in stack if frame.f_code is in_part.__code__]
        if parts:
            return any(part is own for part in parts for own in self._parts)
        return any(frame.f_locals.get("self") is self._driver for frame in stack)

    def _whose(self, stack: list[FrameType]) -> str:
        parts = [frame.f_locals.get("part") for frame in stack if frame.f_code is in_part.__code__]
        return f"{named(parts[0])}, at " if parts else ""
