"""The bytes of the part in hand, written down beside the output before the output is touched.

It is a hidden file next to the output (`.out.jsonl.batchflow` for `out.jsonl`): one line that says whose part goes
where, then the part's bytes. It is durable before the first of them reaches the output, so that after a crash whatever
stands in the output from there on is either the beginning of these bytes, and then ours, or it is not.

Each part is written over the one before, and the file is cut to its length when it is whole: a file that grows anew for
every part costs the system more. What is left of the part before harms nobody, since the output is not touched until then.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from batchflow.builtin.disk import sync_folder, write_all
from batchflow.builtin.sinks.mark import Mark

_PIECE = 256 * 1024
_SECTOR = 512
_HEADER_AT_MOST = 64 * 1024


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """Whose part is about to be written, and from which place on."""

    run: str
    sink: str
    part: str
    start: Mark


class Redo:
    """One part's bytes, kept until its receipt is."""

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f".{output.name}.batchflow")
        self._file = -1
        self._body = 0

    def begin(self, intent: Intent) -> None:
        """Forgets the part before and begins the next."""
        if self._file < 0:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            sync_folder(self.path.parent)
        header = msgspec.json.encode(intent) + b"\n"
        os.lseek(self._file, 0, os.SEEK_SET)
        self.add(header)
        self._body = len(header)

    def add(self, data: bytes) -> None:
        """Takes more of the part."""
        write_all(self._file, data)

    def seal(self) -> None:
        """Makes it durable: from now on the output may be written."""
        os.ftruncate(self._file, os.lseek(self._file, 0, os.SEEK_CUR))
        os.fsync(self._file)

    def recall(self) -> Intent | None:
        """Reads what an earlier process left here; None when there is nothing, or no whole header."""
        if self._file < 0:
            with suppress(FileNotFoundError):
                self._file = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
        if self._file < 0:
            return None
        header, newline, _ = os.pread(self._file, _HEADER_AT_MOST, 0).partition(b"\n")
        self._body = len(header) + len(newline)
        try:
            return msgspec.json.decode(header, type=Intent)
        except msgspec.MsgspecError:
            return None

    def length(self) -> int:
        """How many bytes of the part are written down."""
        return os.fstat(self._file).st_size - self._body

    def pieces(self, length: int | None = None) -> Iterator[memoryview]:
        """Gives the part's bytes again (the first `length` of them), a piece at a time: the next one takes its place."""
        left = self.length() if length is None else length
        place, room = self._body, memoryview(bytearray(_PIECE))
        while left > 0 and (read := os.preadv(self._file, [room[:left]], place)):
            yield room[:read]
            place += read
            left -= read

    def begins_with(self, output: int, start: int, end: int) -> bool:
        """Tells whether the output's bytes from `start` to `end` are the first bytes of this part, one by one.

        A zero may stand for any of them: some file systems give a file its size before its bytes are on disk, and a power
        cut in between leaves zeros. Nobody loses anything with them.
        """
        if end - start > self.length():
            return False
        place = start
        for data in self.pieces(end - start):
            if not _is_all_of(os.pread(output, len(data), place), bytes(data)):
                return False
            place += len(data)
        return place == end

    def drop(self) -> None:
        """Removes it: the part is safe, or was never begun."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the file and leaves it where it is."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def _is_all_of(found: bytes, ours: bytes) -> bool:
    """Tells whether what was found is ours, but for zeros; byte by byte only where a sector differs."""
    if found == ours:
        return True
    sectors = range(0, len(ours), _SECTOR)
    return len(found) == len(ours) and all(
        _is_sector_of(found[at : at + _SECTOR], ours[at : at + _SECTOR]) for at in sectors
    )


def _is_sector_of(found: bytes, ours: bytes) -> bool:
    return found == ours or all(there in (0, byte) for there, byte in zip(found, ours, strict=True))
