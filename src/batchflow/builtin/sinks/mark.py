"""A place in a file that can be recognised later: which file, how far, and what stood right before it."""

import os

import msgspec
import xxhash

WINDOW = 64 * 1024


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The end of what was known to be in a file. `window` is a hash of the 64 KiB before `offset`."""

    device: int
    inode: int
    offset: int
    window: str


def mark(file: int, offset: int) -> Mark:
    """Marks a place in an open file."""
    status = os.fstat(file)
    return Mark(device=status.st_dev, inode=status.st_ino, offset=offset, window=_window(file, offset))


def difference(file: int, known: Mark) -> str:
    """Says in what the file differs from the one that was marked; empty when it does not."""
    status = os.fstat(file)
    if (status.st_dev, status.st_ino) != (known.device, known.inode):
        return f"it is another file (inode {status.st_ino} now, {known.inode} when it was written)"
    if status.st_size < known.offset:
        return f"it is shorter than it was ({status.st_size} bytes now, {known.offset} then)"
    if _window(file, known.offset) != known.window:
        return f"the text before byte {known.offset} was changed"
    return ""


def _window(file: int, offset: int) -> str:
    length = min(offset, WINDOW)
    return xxhash.xxh3_128_hexdigest(os.pread(file, length, offset - length))
