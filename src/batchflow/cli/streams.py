"""What standard output and standard error are to the command line: full, closed and unheard ones too.

Output that cannot be written is told in a sentence and in the exit code, and is nobody's mistake. A remark that cannot be
written is dropped: a run that is paid for does not stop because nobody hears how it goes on.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from batchflow.model.errors import UserError


class OutputLost(UserError):
    """Standard output does not take what was asked for."""


class ReaderGone(OutputLost):
    """Whoever read standard output has had enough, and wants to hear nothing of it."""


def lost(error: OSError) -> OutputLost:
    """Make the error that says why standard output was not written."""
    if isinstance(error, BrokenPipeError):
        return ReaderGone("whoever read standard output is gone")
    return OutputLost(
        f"standard output could not be written: {error.strerror or error}. What the command did is done; what it had to say is lost",
        hint="send the output where there is room for it, and ask again",
    )


class _Stream:
    """A text stream that knows its own failures from all others; everything else about it is as it was."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.broken = False
        """It holds text that nobody will ever read."""

    def write(self, text: str) -> int:
        try:
            return len(text) if self.broken else self._stream.write(text)
        except OSError as error:
            self._fail(error)
            return len(text)

    def flush(self) -> None:
        try:
            if not self.broken:
                self._stream.flush()
        except OSError as error:
            self._fail(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _fail(self, error: OSError) -> None:
        raise NotImplementedError


class _Output(_Stream):
    def _fail(self, error: OSError) -> None:
        self.broken = True
        raise lost(error) from error


class _Remarks(_Stream):
    def _fail(self, error: OSError) -> None:
        """Drop it. The next one is tried again: a full disk may be emptied, and the log go on."""


@contextmanager
def guarded() -> Generator[None]:
    """Have failures to write told as `OutputLost`, for as long as a command lasts."""
    out, err = sys.stdout, sys.stderr
    output, remarks = _Output(out), _Remarks(err)
    sys.stdout, sys.stderr = cast("TextIO", output), cast("TextIO", remarks)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        for stream in (out, err):
            _let_go(stream)


def _let_go(stream: TextIO) -> None:
    """Send what cannot be written nowhere: Python would try once more when it ends, complain, and change the exit code."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        with suppress(OSError):
            stream.flush()


def occupy() -> None:
    """Fill the places of standard streams that came closed, by something that cannot be used.

    The next file opened would get the number of one, and be written as if it were it.
    """
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number, which is this one
    sys.stdout = _open(sys.stdout, 1)
    sys.stderr = _open(sys.stderr, 2)


def _open(stream: TextIO | None, number: int) -> TextIO:
    """Give a stream; one that came closed is None."""
    return open(number, "w", encoding="utf-8", closefd=False) if stream is None else stream
