"""What a power cut leaves: of each file the bytes at its last fsync, of each folder the names at its last.

A process under `watched` keeps that beside its folder while it works, and is killed; `cut_power` then takes from the folder
what was never flushed. SQLite flushes its own files where nobody here can listen, so they stay as they are: that a commit is
on disk when it is answered is proven elsewhere (tests/builtin/stores/test_sqlite_file.py).
"""

import json
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

SECTOR = 128
"""Smaller than a disk's, as the files here are."""
SQLITE = (".db", ".db-wal", ".db-shm", ".db-journal")
FOLDER = 0
"""Stands for the inode of a folder: these are told by their names."""


class Disk:
    """What has reached the disk of a folder, kept in another."""

    def __init__(self, root, kept):
        self.root = Path(root).resolve()
        self._kept = Path(kept)
        self._lock = threading.Lock()

    def begin(self):
        """Takes everything for flushed: the machine has been up for a while."""
        shutil.rmtree(self._kept, ignore_errors=True)
        for name in ("bytes", "pins", "names"):
            (self._kept / name).mkdir(parents=True)
        for folder, _, files in os.walk(self.root):
            self.flushed(Path(folder))
            for file in files:
                self.flushed(Path(folder, file))

    def flushed(self, path):
        """Keeps what there is of a file or a folder now."""
        if not path.is_relative_to(self.root):
            return
        with self._lock:
            if path.is_dir():
                names = {entry.name: FOLDER if entry.is_dir() else self._pinned(entry) for entry in os.scandir(path)}
                self._keep(self._names(path), json.dumps(names).encode())
            elif not path.name.endswith(SQLITE):
                self._keep(self._kept / "bytes" / str(self._pinned(path)), path.read_bytes())

    def cut_power(self, fate):
        """Leaves of the folder what was flushed, and of the rest what fate allows."""
        self._cut(self.root, fate)

    def _cut(self, folder, fate):
        then = json.loads(self._names(folder).read_bytes()) if self._names(folder).exists() else {}
        now = {entry.name: FOLDER if entry.is_dir() else entry.inode() for entry in os.scandir(folder)}
        for name in sorted(then.keys() | now.keys()):
            was, is_ = then.get(name), now.get(name)
            stays = is_ if was == is_ or (is_ is not None and fate.name_survives()) else was
            self._settle(folder / name, stays, is_, fate)

    def _settle(self, path, inode, now, fate):
        """Gives a name what it leads to after the power cut."""
        if now is not None and inode != now:
            shutil.rmtree(path) if now == FOLDER else path.unlink()
        if inode == FOLDER:
            path.mkdir(exist_ok=True)
            self._cut(path, fate)
        elif inode is not None and not path.name.endswith(SQLITE):
            if inode != now:
                path.hardlink_to(self._kept / "pins" / str(inode))
            flushed = self._kept / "bytes" / str(inode)
            left = fate.bytes_of(flushed.read_bytes() if flushed.exists() else b"", path.read_bytes())
            path.write_bytes(left)  # in its place: a file's inode is the same after a power cut

    def _pinned(self, path):
        """Names a file by its inode, which nobody else gets while there is a link to it."""
        inode = path.inode() if isinstance(path, os.DirEntry) else path.stat().st_ino
        with suppress(FileExistsError):
            (self._kept / "pins" / str(inode)).hardlink_to(path)
        return inode

    def _names(self, folder):
        return self._kept / "names" / (folder.relative_to(self.root).as_posix().replace("/", "%") + ".json")

    def _keep(self, path, data):
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_bytes(data)
        fresh.replace(path)


class Nothing:
    """Nothing survives but what was flushed."""

    def __init__(self, dice):
        self._dice = dice

    def name_survives(self):
        return False

    def bytes_of(self, flushed, written):
        return flushed if flushed != written else written


class Sizes(Nothing):
    """Names and sizes survive, and where bytes were to come there is zero."""

    def name_survives(self):
        return True

    def bytes_of(self, flushed, written):
        return flushed[: len(written)] + bytes(max(0, len(written) - len(flushed)))


class Chance(Nothing):
    """Of each name and each sector the dice decide."""

    def name_survives(self):
        return self._dice.random() < 0.5

    def bytes_of(self, flushed, written):
        old = flushed[: len(written)] + bytes(max(0, len(written) - len(flushed)))
        parts = range(0, len(written), SECTOR)
        left = b"".join(self._dice.choice((old, written))[at : at + SECTOR] for at in parts)
        shorter = self._dice.random() < 0.5 and len(flushed) < len(written)
        return left[: self._dice.randint(len(flushed), len(written))] if shorter else left
