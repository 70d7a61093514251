"""Where another thread is."""

import gc
import sys
from types import FrameType


def top_frame(thread: int) -> FrameType | None:
    """Give the innermost frame of a thread, by its number; None where there is no such thread.

    Python keeps the list of threads locked while it makes the answer. A collection that begins just then may call code (a
    finalizer, somebody's hook) that lets another thread in, which wants that lock: then both wait for ever.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(thread)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the one way to see another thread's stack
    finally:
        if collects:
            gc.enable()
