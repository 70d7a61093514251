"""Makes an ordinary user of root: whoever gives up two capabilities is held to the permissions of files, like anybody else."""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor

OVERRIDES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


def ordinarily(work):
    """Does something in a thread that is ordinary, as are those that it begins."""
    with ThreadPoolExecutor(1, initializer=become) as threads:
        return threads.submit(work).result()


def become():
    """Gives them up for this thread and those that it begins, for good. Its user and the owners of its files stay as they are."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(VERSION_3, 0), (_Sets * 2)()
    if libc.capget(ctypes.byref(header), sets):
        raise OSError(ctypes.get_errno(), "capget")
    for name, _ in _Sets._fields_:
        setattr(sets[0], name, getattr(sets[0], name) & ~OVERRIDES)
    if libc.capset(ctypes.byref(header), sets):
        raise OSError(ctypes.get_errno(), "capset")
