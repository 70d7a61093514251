"""The way into an output file: it must be a file, it is made if missing, and it is ours alone while we write."""

import fcntl
import os
import stat
from pathlib import Path

from batchflow.builtin.disk import sync_folder
from batchflow.builtin.sinks.diagnosis import SAFE
from batchflow.model.errors import SinkError


def enter(path: Path, *, create: bool) -> int:
    """Opens a file for appending and locks it."""
    _refuse_what_is_no_file(path)
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    file = _make(path) if create else os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        _lock(path, file)
        if create:
            sync_folder(path.resolve().parent)
    except BaseException:
        os.close(file)
        raise
    return file


def _make(path: Path) -> int:
    """Opens a file that is made if missing. Where nobody can make one (/proc, a link into nowhere) it is not "gone"."""
    try:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    except FileNotFoundError as error:
        raise SinkError(
            f"{path} cannot be made: no file can be there.", hint="choose another path for this sink"
        ) from error


def leads_to(path: Path, file: int) -> bool:
    """Tells whether the path still names the file that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _refuse_what_is_no_file(path: Path) -> None:
    # A pipe or a device keeps nothing that a crash could be mended from, and an append to it cannot be taken back.
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise SinkError(
            f"{path} is not a regular file, so lines written there could not be kept exactly once.",
            hint="name a file, or use `type: stdout` and redirect it",
        )


def _lock(path: Path, file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SinkError(
            f"{path} is being written by another run or another sink. Nothing was touched. {SAFE}",
            hint="wait for the other one, or give this sink a path of its own, then run `batchflow resume`",
        ) from error
