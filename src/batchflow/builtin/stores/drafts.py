"""Files in the making: a draft becomes an object all at once, or leaves no trace. Plain blocking code, for threads."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import xxhash

from batchflow.builtin.disk import sync_folder, write_all
from batchflow.builtin.stores.folders import make_folders, private_folder
from batchflow.model.blob import Blob
from batchflow.model.errors import Bug

UNFINISHED = "~unfinished"
"""The folder of drafts. The tilde keeps it out of the reach of objects' names."""

_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY


class Draft:
    """One object on its way to its name. Its file is made when there is something to put in it."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = name
        self._aside = root / UNFINISHED / uuid4().hex
        self._file: int | None = None
        self._finished = False
        self._size = 0
        self._check = xxhash.xxh3_128()

    def append(self, data: bytes) -> None:
        """Writes, and takes the checksum on the way: the bytes are never read again for it."""
        if self._finished:
            raise Bug(f"The object {self._name} is finished and cannot change any more.")
        if self._file is None:
            self._file = self._begin()
        write_all(self._file, data)
        self._check.update(data)
        self._size += len(data)

    def publish(self, rest: bytes) -> Blob:
        """Writes the rest and gives the object its name: bytes to disk first, then the name, then the name to disk."""
        self.append(rest)
        assert self._file is not None  # append saw to it
        os.fsync(self._file)
        target = self._root / self._name
        try:
            self._aside.rename(target)
        except FileNotFoundError:
            make_folders(target.parent)
            self._aside.rename(target)
        self._finished = True
        self._let_go()
        sync_folder(target.parent)
        return Blob(name=self._name, size=self._size, checksum=self._check.hexdigest())

    @property
    def lies_about(self) -> bool:
        """Tells whether there is anything to discard."""
        return self._file is not None

    def discard(self) -> None:
        """Removes what has not become an object; after `publish` there is nothing to remove."""
        if self._file is not None:
            self._let_go()
            self._aside.unlink(missing_ok=True)

    def _begin(self) -> int:
        while True:
            try:
                file = os.open(self._aside, _NEW, 0o600)
            except FileNotFoundError:
                private_folder(self._aside.parent)
                file = os.open(self._aside, _NEW, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                return file
            os.close(file)  # somebody's sweep came between the making and the lock: once more

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def sweep(root: Path) -> None:
    """Removes the drafts of dead writers: a living one holds a lock on its file, and the kernel frees a dead one's."""
    with suppress(OSError):  # tidying up: whatever stands against it will be told to the one who writes
        for leftover in (root / UNFINISHED).iterdir():
            _remove_if_dead(leftover)


def _remove_if_dead(draft: Path) -> None:
    with suppress(OSError):  # locked, so alive; or finished or swept by another meanwhile
        file = os.open(draft, os.O_WRONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()
        finally:
            os.close(file)
