"""Says in words what SQLite says in codes: what happened to which file, what is known, what to do."""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from batchflow.model.errors import StoreUnavailable

NOTHING_WRITTEN = "Nothing of this change was written; what was committed before is safe."


def explain(error: sqlite3.Error | OSError, path: Path) -> StoreUnavailable | None:
    """Puts the state of the world into words; None for what can only be a mistake of ours."""
    if isinstance(error, OSError):
        return _not_allowed(path, error)
    code: int = getattr(error, "sqlite_errorcode", 0)  # absent when Python, not SQLite, raised it
    in_words = _SAYINGS.get(code) or _SAYINGS.get(code & 0xFF)
    return in_words(path, error) if in_words else None


def _no_room(path: Path, _: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"The disk is full: {path} could not be written. {NOTHING_WRITTEN}",
        hint=f"Free some space where {path.parent} lies, then run the same command again: it goes on where it stopped.",
    )


def _failing(path: Path, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path} could not be read or written ({error}): "
        f"the disk is full or failing, or a limit on file sizes was reached. {NOTHING_WRITTEN}",
        hint="Look at `df` and `ulimit -f`, then run the same command again: it goes on where it stopped.",
    )


def _lost_sync(path: Path, _: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"The system could not bring {path} to disk, so it is not known whether the last change will be there "
        "after a restart: it will be there whole, or not at all.",
        hint="Check the disk, then run the same command again: it reads what is there and goes on from that.",
    )


def _busy(path: Path, _: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path} is locked by another program that does not let go of it. {NOTHING_WRITTEN}",
        hint=f"`fuser {path}` says who: a backup, a database browser? Then run the same command again.",
    )


def _not_allowed(path: Path, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path} cannot be opened for writing ({error}). Nothing was changed; what was committed before is safe.",
        hint=f"Both the file and the folder {path.parent} must be writable; or give another path for the state.",
    )


def _damaged(path: Path, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path} is damaged or no database at all ({error}). It was left as it is. Batches that were submitted are "
        "still with the provider, and so are their results for some weeks.",
        hint=f"Put a copy of it back, with its -wal file if there is one. `sqlite3 {path} .recover` saves what can be "
        "read. Do not start again from nothing while batches are in flight: they would be paid for twice.",
    )


_SAYINGS: Mapping[int, Callable[[Path, Exception], StoreUnavailable]] = {
    sqlite3.SQLITE_IOERR_FSYNC: _lost_sync,
    sqlite3.SQLITE_IOERR_DIR_FSYNC: _lost_sync,
    sqlite3.SQLITE_IOERR: _failing,
    sqlite3.SQLITE_FULL: _no_room,
    sqlite3.SQLITE_BUSY: _busy,
    sqlite3.SQLITE_LOCKED: _busy,
    sqlite3.SQLITE_READONLY: _not_allowed,
    sqlite3.SQLITE_CANTOPEN: _not_allowed,
    sqlite3.SQLITE_PERM: _not_allowed,
    sqlite3.SQLITE_NOTADB: _damaged,
    sqlite3.SQLITE_CORRUPT: _damaged,
}
"""By extended code where the cause matters, else by the primary code in its lowest byte."""
