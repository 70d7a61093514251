"""What the command line may do to its process and a library may not: it is the process's only tenant."""

import asyncio
import ctypes
import gc
import os
import signal
import sys

from batchflow.cli.exits import Exit
from batchflow.stages.asked import ABANDONED

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Their names in glibc's malloc.h begin with `M_`."""

_KEPT = 32 * 1024 * 1024


def leave_hanging(code: Exit) -> Exit:
    """Give the code back; end the process at once where a part that was given up does not even end when it is cancelled.

    Python would wait for it for ever. Everything is committed and told by now.
    """
    if any(task.get_name().startswith(ABANDONED) for task in asyncio.all_tasks()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def settle_in() -> None:
    """Sets garbage collection and memory up for moving many records, before threads are started."""
    # Records are many and short-lived, and none is part of a cycle: looking for cycles so often finds nothing.
    gc.set_threshold(50_000, 20, 100)
    # glibc gives each thread a heap of its own, and what one thread frees there no other can use: 10 to 20 MB of a run.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        # Blocks of half a megabyte come and go all the time. Given back to the system each time, they are cleared, page by
        # page, before they are had again: 7 % of a run's CPU.
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)


def come_to_an_end() -> None:
    """Lets one more signal change nothing about how a stopped command ends: all is done, and its code says how it went."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
