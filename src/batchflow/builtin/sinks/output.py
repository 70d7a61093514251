"""A file that grows by whole parts, and gets over `kill -9` without a lost, doubled or torn line.

The file belongs to the user: lines of other programs may stand in it, and somebody may add to it while we are down.
So the question after a crash is not "where did we stop?" (the last receipt knows) but "whose are the bytes after
that?". A guess would cut somebody's lines. This is how it is known:

1. A part is first written to a redo log beside the output and made durable (`redo`): its bytes, and the place in the
   output (device, inode, offset, hash of the 64 KiB before) where they are going.
2. Then it is appended to the output and made durable. The mark of its end is the receipt.
3. On `open`, the output must be the very file of the last receipt, at least as long, with the same 64 KiB before its
   end. Bytes after that end are cut off only if they equal, byte for byte, the beginning of what the redo log says we
   were about to put there (or are zero, where a power cut kept them from the disk). Anything else is somebody else's:
   `SinkError`, and nothing is touched.

The proof needs nothing from the redelivered part, whose rows may come in another order, or from a check that answers
differently the second time. It also covers the first part, when there is no receipt yet and `if_exists: error` would
otherwise refuse the file that we made ourselves. The price is that each byte is written twice, and one more fsync a
part: nothing beside the cost of an answer.

The file is locked (flock) for as long as it is open, and appended to with O_APPEND, so even a program that ignores the
lock is never overwritten: its lines are noticed by the end of the file not being where it should.
"""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from batchflow.builtin.disk import done_with, write_all
from batchflow.builtin.sinks.diagnosis import SAFE
from batchflow.builtin.sinks.entry import enter, leads_to
from batchflow.builtin.sinks.lines import Lines
from batchflow.builtin.sinks.mark import WINDOW, Mark, difference, mark
from batchflow.builtin.sinks.redo import Intent, Redo
from batchflow.model.errors import SinkError
from batchflow.ports.sink import SinkContext

IfExists: TypeAlias = Literal["error", "append", "overwrite"]

_BEGINNING = 64 * 1024


class FileReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The last part that is wholly in the file, and where it ends."""

    part: str
    end: Mark


class Output:
    """One locked file, between `open` and `close`. Every method blocks; `FileSink` calls them from a thread."""

    def __init__(self, path: Path, lines: Lines, if_exists: IfExists, context: SinkContext) -> None:
        self._path = path
        self._lines = lines
        self._if_exists: IfExists = if_exists
        self._context = context
        self._redo = Redo(path.resolve())
        self._file = -1
        self._end = 0
        self._overwrite = False
        self._settled = False

    def open(self, last: FileReceipt | None) -> None:
        """Takes the file and finds the place where the next part goes."""
        try:
            self._file = enter(self._path, create=last is None)
            self._end = self._resume(last.end) if last else self._start()
            self._redo.drop()
        except FileNotFoundError as error:
            raise self._changed("it is gone") from error
        self._settled = True

    def begin(self, part: str) -> None:
        """Makes the redo log ready for a part's bytes."""
        if not leads_to(self._path, self._file):
            raise self._changed("it was moved or replaced while it was being written")
        self._mend(self._end)
        if self._overwrite:
            self._empty()
        self._settled = False
        self._redo.begin(
            Intent(run=self._context.run, sink=self._context.sink, part=part, start=mark(self._file, self._end))
        )
        self._redo.add(self._opening())

    def add(self, data: bytes) -> None:
        """Takes more of the part; the output itself is not touched yet."""
        self._redo.add(data)

    def finish(self, part: str) -> FileReceipt:
        """Puts the part into the output, durably. What was put there of a part that fails is taken back."""
        self._redo.seal()
        if (size := os.fstat(self._file).st_size) != self._end:
            raise self._foreign(self._end, size)
        try:
            end = self._append()
        except OSError:
            with suppress(OSError, SinkError):
                self._mend(self._end)
            raise
        if (passed := end - WINDOW - self._end) > 0:  # the rest is looked at for the next part's mark
            done_with(self._file, self._end, passed)
        self._end = end
        return FileReceipt(part=part, end=mark(self._file, end))

    def settle(self) -> None:
        """Hears that the last receipt has been kept, so that the redo log is of no more use."""
        self._settled = True

    def close(self) -> None:
        """Gives the file back. The redo log stays if the last receipt may have been lost."""
        with suppress(OSError):
            if self._settled:
                self._redo.drop()
            self._redo.close()
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
        self._settled = False

    def _resume(self, known: Mark) -> int:
        if problem := difference(self._file, known):
            raise self._changed(problem)
        self._mend(known.offset)
        return known.offset

    def _start(self) -> int:
        intent = self._redo.recall()
        # An empty file has nothing of ours to take back, though it may be a new one that was given the old one's number.
        if os.fstat(self._file).st_size and intent and self._is_ours(intent):
            self._take_back(intent.start)
        size = os.fstat(self._file).st_size
        if size and self._context.fresh:
            self._judge_what_exists(size, intent)
        return size

    def _take_back(self, start: Mark) -> None:
        try:
            self._resume(start)
        except SinkError as error:
            error.hint += f". To begin anew with the file as it is now, delete {self._redo.path} first"
            raise

    def _judge_what_exists(self, size: int, intent: Intent | None) -> None:
        match self._if_exists:
            case "error":
                raise SinkError(
                    f"{self._path} exists and holds {size} bytes. Nothing was touched.",
                    hint="choose another path, move the file away, or set `if_exists: append` or `if_exists: overwrite`",
                )
            case "overwrite":
                self._overwrite = True
            case "append":
                self._refuse_what_cannot_be_appended_to(size, intent)

    def _refuse_what_cannot_be_appended_to(self, size: int, intent: Intent | None) -> None:
        if intent and self._is_torn(intent, size):
            raise SinkError(
                f"run {intent.run} was killed while it wrote into {self._path}, and its last line is torn. Nothing was touched.",
                hint=f"let it finish first: `batchflow resume {intent.run}`. To leave the torn line where it is, delete {self._redo.path}",
            )
        if objection := self._lines.objection(os.pread(self._file, _BEGINNING, 0)):
            raise SinkError(
                f"cannot append to {self._path}: {objection}. Nothing was touched.",
                hint="give `fields:` the columns of the file in its order, or choose another path",
            )

    def _is_ours(self, intent: Intent) -> bool:
        return (intent.run, intent.sink) == (self._context.run, self._context.sink) and self._is_here(intent)

    def _is_here(self, intent: Intent) -> bool:
        status = os.fstat(self._file)
        return (intent.start.device, intent.start.inode) == (status.st_dev, status.st_ino)

    def _is_torn(self, intent: Intent, size: int) -> bool:
        start = intent.start.offset
        if not (self._is_here(intent) and start < size < start + self._redo.length()):
            return False
        return self._redo.begins_with(self._file, start, size)

    def _mend(self, end: int) -> None:
        """Cuts what is after `end` if it is proven ours."""
        size = os.fstat(self._file).st_size
        if size == end:
            return
        if size < end:
            raise self._changed(f"it is shorter than it was ({size} bytes now, {end} then)")
        intent = self._redo.recall()
        if not (intent and self._is_ours(intent) and intent.start.offset == end):
            raise self._foreign(end, size)
        if not self._redo.begins_with(self._file, end, size):
            raise self._foreign(end, size)
        self._cut(end)

    def _empty(self) -> None:
        # Before the intent is written: were it after, a crash in between would make the old content look foreign.
        self._cut(0)
        self._end = 0
        self._overwrite = False

    def _cut(self, end: int) -> None:
        os.ftruncate(self._file, end)
        os.fsync(self._file)

    def _opening(self) -> bytes:
        if self._end == 0:
            return self._lines.head
        return b"" if os.pread(self._file, 1, self._end - 1) == b"\n" else self._lines.newline

    def _append(self) -> int:
        end = self._end
        for data in self._redo.pieces():
            write_all(self._file, data)
            end += len(data)
            # With O_APPEND the place after a write tells where the system put it.
            if (place := os.lseek(self._file, 0, os.SEEK_CUR)) != end:
                raise self._foreign(self._end, place)
        os.fsync(self._file)
        return end

    def _changed(self, problem: str) -> SinkError:
        run = self._context.run
        return SinkError(
            f"{self._path} is not as run {run} left it: {problem}. Nothing was touched. {SAFE}",
            hint=f"put the file back as it was and run `batchflow resume {run}`; or move it away, and `batchflow replay {run} --sink {self._context.sink}` "
            "writes all of it anew from the stored answers, for nothing",
        )

    def _foreign(self, end: int, size: int) -> SinkError:
        path = shlex.quote(str(self._path))
        return SinkError(
            f"{self._path} holds {size - end} bytes after byte {end} that run {self._context.run} cannot recognise as its own. Nothing of them was touched. {SAFE}",
            hint=f"look at them with `tail -c +{end + 1} {path}`, save them if they matter, cut them off with `truncate -s {end} {path}`, then run `batchflow resume {self._context.run}`",
        )
