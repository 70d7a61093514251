"""Opens a file at an offset of its *uncompressed* bytes, and turns what goes wrong into a `SourceError` that names it.

Compressed files cannot be entered in the middle, so a resumed run reads them again up to its place: slow, but right.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import IO, Protocol

from batchflow.builtin.sources.tree import Found
from batchflow.model.errors import SourceError

BLOCK = 256 * 1024
GONE = "put it back as it was, or start anew with `batchflow run --new`"


class Stream(Protocol):
    """Bytes, in order."""

    def read(self, size: int, /) -> bytes:
        """Gives up to `size` bytes; none at all is the end."""
        ...

    def close(self) -> None:
        """Lets go of the file."""
        ...


@contextmanager
def opened(file: Found, offset: int = 0) -> Generator[Stream]:
    """Opens a local file at an offset, for the time of a block."""

    def begin(at: int) -> IO[bytes]:
        raw = io.BufferedReader(io.FileIO(file.path), BLOCK)
        if at > raw.seek(0, io.SEEK_END):
            raw.close()
            raise shorter(file.path, at)
        raw.seek(at)
        return raw

    with entered(file.path, offset, begin) as stream:
        yield stream


@contextmanager
def entered(path: str, offset: int, begin: Callable[[int], IO[bytes]]) -> Generator[Stream]:
    """Enters a file, packed or not, at an offset; `begin` gives its bytes as they lie there, from a place on."""
    packed = path.endswith((".gz", ".zst"))
    try:
        with closing(begin(0 if packed else offset)) as raw, closing(_unpacked(raw, path)) as stream:
            if packed and not _passed(stream, offset):
                raise shorter(path, offset)
            yield stream
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from error


def shorter(path: str, offset: int) -> SourceError:
    """Says that a run cannot go on in a file where it stood."""
    return SourceError(f"{path} has become shorter: the run stood at its byte {offset}", hint=GONE)


def unreadable(path: str, error: Exception) -> SourceError:
    """Says what is wrong with a file as a whole."""
    match error:
        case PermissionError():
            return SourceError(f"may not read {path}", hint=f"check who may: ls -l {path}")
        case FileNotFoundError():
            return SourceError(f"{path} is gone", hint=GONE)
        case gzip.BadGzipFile():
            return SourceError(f"{path} is not a whole gzip file: {error}", hint=f"test it: gzip -t {path}")
        case EOFError() | zlib.error():
            return SourceError(
                f"{path} is cut off or damaged: {error}", hint=f"test it, then write it again: gzip -t {path}"
            )
        case _:
            return SourceError(f"cannot read {path}: {error}", hint="nothing is lost: mend it and run again")


def _unpacked(raw: IO[bytes], path: str) -> Stream:
    if path.endswith(".gz"):
        return gzip.GzipFile(fileobj=raw, mode="rb")
    return Zstd(raw, path) if path.endswith(".zst") else raw


def _passed(stream: Stream, offset: int) -> bool:
    """Passes over so many bytes; false when there are not as many."""
    while offset and (passed := len(stream.read(min(offset, BLOCK)))):
        offset -= passed
    return not offset


class Zstd:
    """Reads zstd frames, one after another.

    The library's own reader takes a file that was cut off for one that ends, which would lose records without a word;
    its decompression object tells the two apart but gives all it can make of what it was fed. 512 bytes make at most
    16 MiB, so that is what it is fed.
    """

    FEED = 512

    def __init__(self, raw: IO[bytes], path: str) -> None:
        import zstandard  # 10 ms that a run without .zst files need not pay

        self._library = zstandard
        self._raw = raw
        self._path = path
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._ready = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        """Gives up to `size` bytes; none at all is the end."""
        pieces: list[memoryview] = []
        wanted = size
        while wanted and (self._ready or self._fill()):
            pieces.append(self._ready[:wanted])
            self._ready = self._ready[wanted:]
            wanted -= len(pieces[-1])
        return b"".join(pieces)

    def close(self) -> None:
        """Lets go of the file."""
        self._raw.close()

    def _fill(self) -> bool:
        while fed := self._raw.read(self.FEED):
            self._ready = memoryview(self._decompress(fed))
            if self._ready:
                return True
        if self._begun:
            raise SourceError(
                f"{self._path} is cut off in the middle of a zstd frame",
                hint=f"test it, then write it again: zstd -t {self._path}",
            )
        return False

    def _decompress(self, fed: bytes) -> bytes:
        out: list[bytes] = []
        try:
            while fed:
                out.append(self._frame.decompress(fed))
                self._begun = not self._frame.eof
                fed = b"" if self._begun else self._next_frame()
        except self._library.ZstdError as error:
            raise SourceError(
                f"{self._path} is not a whole zstd file: {error}", hint=f"test it: zstd -t {self._path}"
            ) from error
        return b"".join(out)

    def _next_frame(self) -> bytes:
        left = self._frame.unused_data
        self._frame = self._library.ZstdDecompressor().decompressobj()
        return left
