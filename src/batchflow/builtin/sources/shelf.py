"""Some files in one order, wherever they lie: what a source of lines needs of a folder, a bucket or anything like them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import dropwhile
from pathlib import Path
from typing import Protocol

from batchflow.builtin.sources.fingerprint import fingerprint
from batchflow.builtin.sources.stream import Stream, opened
from batchflow.builtin.sources.tree import Found, covers, find
from batchflow.model.target import Target


class Shelf(Protocol):
    """Called in threads, except for `fingerprint`: it may block."""

    @property
    def name(self) -> str:
        """What the shelf is called in messages."""
        ...

    def files(self, start: str | None = None) -> Iterator[Found]:
        """Yields the files, sorted by something that stays; from the one of this name on. None at all is a `SourceError`."""
        ...

    def opened(self, file: Found, offset: int = 0) -> AbstractContextManager[Stream]:
        """Opens a file at an offset of its unpacked bytes, for the time of a block."""
        ...

    async def fingerprint(self) -> str | None:
        """Changes when a file does, or comes, or goes."""
        ...


class Folder:
    """The files that a path or pattern names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def files(self, start: str | None = None) -> Iterator[Found]:
        found = find(self._path)
        return found if start is None else dropwhile(lambda file: file.name != start, found)

    def opened(self, file: Found, offset: int = 0) -> AbstractContextManager[Stream]:
        return opened(file, offset)

    async def fingerprint(self) -> str | None:
        return await fingerprint(self._path)

    def covers(self, target: Target) -> bool:
        return covers(self._path, target)
