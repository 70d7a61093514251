"""Objects as files in a folder: written aside, brought to disk, then given their name all at once.

A file under its own name is whole, whatever was killed or cut off. What a killed writer leaves lies in `~unfinished/`,
where no name leads, and is swept away by the next process that writes: it can tell the dead from the living, because a
writer holds a lock on its file for as long as it lives (see `drafts`).
"""

import errno
import os
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import anyio
import xxhash
from anyio.to_thread import run_sync

from batchflow.builtin.disk import done_with
from batchflow.builtin.stores.drafts import Draft, sweep
from batchflow.builtin.stores.objects import PIECE, missing, wrong_bytes, wrong_size
from batchflow.model.blob import Blob, checked_name, is_name
from batchflow.model.errors import StoreUnavailable
from batchflow.model.units import Doc

_NAMES_AT_ONCE = 1000
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def folder(
    *, path: Annotated[Path, Doc("Where the objects lie. A missing folder is made for your eyes only, ignored by git.")]
) -> "FolderBlobs":
    """Keeps objects as files in a local folder."""
    return FolderBlobs(path)


class FolderBlobs:
    """Keeps `ports.blobs.BlobStore` in a folder. Files are touched in threads, a piece at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._swept = False

    @asynccontextmanager
    async def create(self, name: str) -> AsyncGenerator["FolderWriter"]:
        draft = Draft(self._path, checked_name(name))
        await self._sweep_once()
        try:
            yield FolderWriter(draft, self._path / name)
        finally:
            # Shielded: being cancelled is no reason to leave half an object lying about.
            if draft.lies_about:
                with anyio.CancelScope(shield=True):
                    await run_sync(draft.discard)

    async def read(self, blob: Blob, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        end = blob.size if length is None else min(start + length, blob.size)
        reader = _Reader(blob, self._path / checked_name(blob.name), whole=start == 0 and end == blob.size)
        try:
            if start >= end:
                await run_sync(reader.open)
            for at in range(start, end, PIECE):
                yield await run_sync(reader.piece, at, min(PIECE, end - at))
        finally:
            reader.close()

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        names = (name for name in _walk(self._path, prefix) if name.startswith(prefix))
        while page := await run_sync(lambda: list(islice(names, _NAMES_AT_ONCE))):
            for name in page:
                yield name

    async def delete(self, name: str) -> None:
        path = self._path / checked_name(name)
        with _explained(path):
            await run_sync(lambda: path.unlink(missing_ok=True))

    async def close(self) -> None: ...

    async def _sweep_once(self) -> None:
        if not self._swept:
            self._swept = True
            await run_sync(sweep, self._path)


class FolderWriter:
    """An object in the making. Small writes wait for company: a thread is worth a piece, not a line."""

    def __init__(self, draft: Draft, path: Path) -> None:
        self._draft = draft
        self._path = path
        self._waiting: list[bytes] = []
        self._bytes = 0

    async def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._bytes += len(data)
        if self._bytes >= PIECE:
            with _explained(self._path):
                await run_sync(self._draft.append, self._taken())

    async def finish(self) -> Blob:
        with _explained(self._path):
            return await run_sync(self._draft.publish, self._taken())

    def _taken(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return data


class _Reader:
    """One file being read; read whole, it is held against its checksum before the last piece is given away."""

    def __init__(self, blob: Blob, path: Path, *, whole: bool) -> None:
        self._blob = blob
        self._path = path
        self._check = xxhash.xxh3_128() if whole else None
        self._file: int | None = None

    def open(self) -> None:
        with _explained(self._path):
            try:
                self._file = os.open(self._path, os.O_RDONLY)
            except FileNotFoundError:
                raise missing(self._blob, str(self._path)) from None
            size = os.fstat(self._file).st_size
        if size != self._blob.size:
            raise wrong_size(self._blob, str(self._path), size)

    def piece(self, at: int, length: int) -> bytes:
        if self._file is None:
            self.open()
        assert self._file is not None  # else it raised
        with _explained(self._path):
            data = os.pread(self._file, length, at)
        if len(data) != length:
            raise wrong_size(self._blob, str(self._path), at + len(data))
        if self._check:
            self._check.update(data)
            if at + length == self._blob.size:
                self._end()
        return data

    def _end(self) -> None:
        """Vouches for the object, of which a run needs nothing more for now: it is read whole once for each purpose."""
        assert self._file is not None
        assert self._check is not None
        if self._check.hexdigest() != self._blob.checksum:
            raise wrong_bytes(self._blob, str(self._path))
        done_with(self._file, 0, self._blob.size)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _walk(root: Path, prefix: str) -> Iterator[str]:
    """Yields the names of objects, looking only where the prefix leads; whatever else lies about is not ours."""
    parent = prefix.rpartition("/")[0]
    if parent and not is_name(parent):
        return
    for folder, folders, files in os.walk(root / parent):
        folders.sort()
        place = Path(folder).relative_to(root)
        yield from filter(is_name, sorted((place / file).as_posix() for file in files))


@contextmanager
def _explained(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(path, error) from error


def _unavailable(path: Path, error: OSError) -> StoreUnavailable:
    kept = "No half object is left, and what was written before is safe."
    if error.errno in _NO_ROOM:
        return StoreUnavailable(
            f"There is no room to write {path} ({error.strerror}). {kept}",
            hint="Free some space (`df`), or lift the limit on file sizes (`ulimit -f`), then run the same command again: "
            "it goes on where it stopped.",
        )
    return StoreUnavailable(
        f"{path} could not be used ({error.strerror}). {kept}",
        hint=f"Look at the permissions of {path.parent} and at the disk, then run the same command again.",
    )
