"""Parquet files as they are opened for reading: what their footers say, and what goes wrong with them."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import msgspec

from batchflow.lines import Found
from batchflow.plugin import SourceError
from batchflow_parquet.arrow import Batch, File, pa, pq
from batchflow_parquet.hive import partitions
from batchflow_parquet.values import Formless, Reading, reading

_AHEAD = 1 << 20
"""Bytes of a column that are read at once; without it a whole column chunk would be."""
_PAGE = 256 * 1024
_ROWS = 500
_TAIL = 8
"""A file ends in the length of its footer and a magic word."""


class Opened(msgspec.Struct, frozen=True):
    """A file, how each column of it is read, and the columns that its path holds."""

    found: Found
    file: File
    columns: Sequence[tuple[str, Reading]]
    partitions: dict[str, str | None]

    def stamp(self) -> str:
        """Tells this file from an edited one: its size and its footer, which says where each column chunk lies."""
        with Path(self.found.path).open("rb") as raw:
            size = raw.seek(0, 2)
            raw.seek(size - self.file.metadata.serialized_size - _TAIL)
            return f"{size}-{blake2b(raw.read(), digest_size=8).hexdigest()}"

    def batches(self, group: int) -> Iterator[Batch]:
        """Reads a row group, as many rows at a time as make a page."""
        about = self.file.metadata.row_group(group)
        each = about.total_byte_size // max(about.num_rows, 1)
        rows = min(max(_PAGE // max(each, 1), 1), _ROWS)
        names = [name for name, _ in self.columns]
        return self.file.iter_batches(batch_size=rows, row_groups=[group], columns=names, use_threads=False)


@contextmanager
def opened(found: Found, wanted: Sequence[str] | None) -> Generator[Opened]:
    """Opens a file for the time of a block, to read these columns of it, or all."""
    try:
        file = pq.ParquetFile(found.path, pre_buffer=False, buffer_size=_AHEAD)
    except (OSError, pa.ArrowException) as error:
        raise damaged(found, "cannot be opened", error) from error
    try:
        inside = partitions(Path(found.path).parent.parts)
        yield Opened(found, file, _columns(found, file, wanted, inside), _beside(file, wanted, inside))
    finally:
        file.close()


def damaged(found: Found, what: str, error: Exception) -> SourceError:
    """Says that a file cannot be read."""
    return SourceError(
        f"{found.path} {what}: {error}",
        hint=f"look at it with another reader: duckdb -c \"from parquet_metadata('{found.path}')\"; if it is broken, write it again",
    )


def _columns(
    found: Found, file: File, wanted: Sequence[str] | None, inside: dict[str, str | None]
) -> list[tuple[str, Reading]]:
    names = file.schema_arrow.names
    lacking = [name for name in wanted or () if name not in names and name not in inside]
    if lacking:
        raise SourceError(f"{found.path} has no column {lacking[0]!r}", hint=f"it has {', '.join((*names, *inside))}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise SourceError(f"{found.path} has several columns called {twice[0]!r}", hint="rename all of them but one")
    return [(name, _reading(found, file, name)) for name in names if wanted is None or name in wanted]


def _reading(found: Found, file: File, name: str) -> Reading:
    try:
        return reading(file.schema_arrow.field(name).type)
    except Formless as type:
        raise SourceError(
            f"{found.path} has a column {name!r} of type {type}, which has no form in JSON",
            hint="leave it out: name the columns that are needed in `columns`",
        ) from type


def _beside(file: File, wanted: Sequence[str] | None, inside: dict[str, str | None]) -> dict[str, str | None]:
    """Gives what only the path says: a column that stands in the file, too, has its own type there."""
    there = file.schema_arrow.names
    return {name: value for name, value in inside.items() if name not in there and (wanted is None or name in wanted)}
