"""The place in a set of files: which file, which byte of its uncompressed content, which line."""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from batchflow.builtin.sources.shelf import Shelf
from batchflow.builtin.sources.stream import GONE
from batchflow.builtin.sources.tree import Found
from batchflow.model.errors import SourceError
from batchflow.model.record import Cursor

T = TypeVar("T")


class Mark(msgspec.Struct, frozen=True):
    """Where the next record begins. `line` is its number, from 1."""

    file: str
    offset: int = 0
    line: int = 1

    def cursor(self) -> Cursor:
        """The same as JSON."""
        return {"file": self.file, "offset": self.offset, "line": self.line}


def stood(cursor: Cursor, shape: type[T]) -> T:
    """Gives a cursor its type, or says that it is none of this source's."""
    try:
        return msgspec.convert(cursor, shape)
    except msgspec.ValidationError as error:
        raise SourceError(
            f"this cursor was not made by this kind of source: {error}",
            hint="did the job's source change its type in mid-run? Start anew with `batchflow run --new`",
        ) from error


def remaining(shelf: Shelf, after: Cursor | None) -> Iterator[tuple[Found, Mark]]:
    """Yields the files that are still to be read, each with the place to begin at."""
    mark = stood(after, Mark) if after is not None else None
    files = shelf.files(mark.file if mark else None)
    if mark:
        current = next(files, None)
        if current is None or current.name != mark.file:
            raise SourceError(
                f"{mark.file} is gone from {shelf.name}: the run stood at its line {mark.line}", hint=GONE
            )
        yield current, mark
    for file in files:
        yield file, Mark(file.name)
