"""Telling a plugin of events in a thread of its own, one after another: it may take its time, and holds nobody up."""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

log = logging.getLogger("batchflow.plugins")
LAST_WORDS = 10.0
"""Seconds that a plugin may take for one more event when a run has ended, before the run stops waiting for it."""
MOST = 10_000
"""Events that wait for one plugin. What comes beyond them is not told: a plugin that hangs must not fill the memory."""


class Hearing:
    """One plugin's thread, and what it has not been told yet."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._state = _State()
        self._thread: threading.Thread | None = None
        self._given_up = False

    def put(self, tell: Callable[[], None]) -> None:
        """Tell it when it has heard what came before."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._state,), name=f"batchflow on_event of {self._who}", daemon=True
            )
            self._thread.start()
            weakref.finalize(self, _end, self._state)
        state = self._state
        with state.changed:
            if len(state.waiting) < MOST:
                state.waiting.append(tell)
                state.changed.notify_all()
                return
            state.untold += 1
        if state.untold == 1:
            log.error(
                "plugin %s is slow in on_event: %d events wait for it, and it is told of no more", self._who, MOST
            )

    def settle(self) -> None:
        """Wait until it has heard everything, as long as it does not take too long for one event."""
        state, limit = self._state, LAST_WORDS
        with state.changed:
            while state.waiting or state.busy:
                heard = state.heard
                left = limit if not self._given_up else 0.0
                ends = time.monotonic() + left
                while state.heard == heard and (left := ends - time.monotonic()) > 0:
                    state.changed.wait(left)
                if state.heard == heard:
                    self._say_given_up(len(state.waiting) + state.busy, limit)
                    return
                self._given_up = False

    def _say_given_up(self, left: int, limit: float) -> None:
        if not self._given_up:
            told = "1 event was" if left == 1 else f"{left} events were"
            log.error("plugin %s did not come back from on_event within %g s: %s not told", self._who, limit, told)
        self._given_up = True


class _State:
    """What the thread and those who hand it work share; the thread must not keep its owner alive."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: deque[Callable[[], None]] = deque()
        self.busy = False
        self.heard = 0
        self.untold = 0
        self.ended = False


def _work(state: _State) -> None:
    while True:
        with state.changed:
            while not state.waiting and not state.ended:
                state.changed.wait()
            if not state.waiting:
                return
            tell = state.waiting.popleft()
            state.busy = True
        try:
            tell()
        finally:
            with state.changed:
                state.busy = False
                state.heard += 1
                state.changed.notify_all()
        del tell


def _end(state: _State) -> None:
    with state.changed:
        state.ended = True
        state.changed.notify_all()
