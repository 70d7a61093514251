"""What the command line may do to its process and a library may not: it is the process's only tenant."""

import ctypes
import gc
import signal

_ARENA_MAX = -8
"""`M_ARENA_MAX` of glibc's malloc.h."""


def settle_in() -> None:
    """Sets garbage collection and memory up for moving many records, before threads are started."""
    # Records are many and short-lived, and none is part of a cycle: looking for cycles so often finds nothing.
    gc.set_threshold(50_000, 20, 100)
    # glibc gives each thread a heap of its own, and what one thread frees there no other can use: 10 to 20 MB of a run.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)


def come_to_an_end() -> None:
    """Lets one more signal change nothing about how a stopped command ends: all is done, and its code says how it went."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
