"""Turns what the operating system says into what a person can do about it."""

import errno
from pathlib import Path

from batchflow.model.errors import SinkError

SAFE = "No result is lost: batchflow keeps all of them in its state folder."

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def cannot_write(path: Path, error: OSError) -> SinkError:
    """Says that a file cannot be written, why, and what to do next."""
    where = f" ({error.filename})" if error.filename not in {None, str(path)} else ""
    return SinkError(f"cannot write {path}: {error.strerror or error}{where}. {SAFE}", hint=_next_step(path, error))


def _next_step(path: Path, error: OSError) -> str:
    if error.errno in _FULL:
        return "free some space (or raise the file size limit), then run `batchflow resume`"
    if error.errno in _DENIED:
        return f"make {path.parent} and the file writable for this user or choose another path, then run `batchflow resume`"
    return "mend the path or choose another one, then run `batchflow resume`"
