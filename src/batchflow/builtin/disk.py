"""What a file system has to be told: so that bytes are all there, so that names stay, and when bytes may be forgotten."""

import os
from contextlib import suppress
from pathlib import Path

_DONTNEED: int | None = getattr(os, "POSIX_FADV_DONTNEED", None)
"""None where a system has no such advice: macOS, for one."""


def write_all(file: int, data: bytes | memoryview) -> None:
    """Writes every byte, however little the system takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to disk: syncing a file makes its bytes durable, but not its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def done_with(file: int, start: int, length: int) -> None:
    """Says that bytes which are on disk will not be looked at again soon, from `start` on.

    Gigabytes of ours would otherwise push what others need out of the system's memory, and count as ours where memory is
    limited for a container. It is quicker, too: the next bytes are written where these were, and not to memory that first
    must be found. Only advice: a system may pass it over.
    """
    if _DONTNEED is not None:
        with suppress(OSError):
            os.posix_fadvise(file, start, length, _DONTNEED)
