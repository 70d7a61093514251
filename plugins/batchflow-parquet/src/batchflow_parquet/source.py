"""Records out of Parquet files: one file or many, row group by row group, and never a whole one in memory."""

from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any

import msgspec
from anyio.to_thread import run_sync

from batchflow.lines import GONE, Found, Shelf, covers, folder, key_of, no_key, paged, stood
from batchflow.plugin import Cursor, Doc, Page, Record, SourceError, Target, Unreadable
from batchflow_parquet.arrow import FOREIGN, Batch, pa
from batchflow_parquet.files import Opened, damaged, opened
from batchflow_parquet.values import Reading


def parquet(
    *,
    path: Annotated[
        Path,
        Doc(
            "The file, a pattern like `lake/**/*.parquet`, or a folder for all `.parquet` files below it, read in sorted order; "
            "`tenant=acme/` on the way is a column."
        ),
    ],
    key: Annotated[
        str | list[str] | None,
        Doc(
            "The column that names a record, or several, whose values are joined by slashes. Without it, a record is named by its place: `claims.parquet:17`."
        ),
    ] = None,
    columns: Annotated[list[str] | None, Doc("The columns to read; by default all. Others cost nothing.")] = None,
) -> "ParquetSource":
    """Reads the rows of Parquet files, resumable at any row."""
    keys = [key] if isinstance(key, str) else key
    if keys == [] or columns == []:
        raise ValueError(f"{'key' if keys == [] else 'columns'} names no column")
    if columns and (lacking := [name for name in keys or () if name not in columns]):
        raise ValueError(f"columns lacks {lacking[0]!r}, which is part of the key")
    return ParquetSource(path, keys, columns)


class Place(msgspec.Struct, frozen=True):
    """Where the next row is: row group and row in it, both from 0; `stamp` tells whether the file is still the same."""

    file: str
    group: int
    row: int
    stamp: str


class ParquetSource:
    """A source of rows. A row without a key, or with a value that cannot be read, is `Unreadable`."""

    def __init__(self, path: Path, key: Sequence[str] | None, columns: Sequence[str] | None) -> None:
        self._path = path
        self._key = key
        self._columns = columns

    def read(self, after: Cursor | None) -> AsyncGenerator[Page]:
        """Yields pages of at most 500 rows or about 256 KiB, or of one larger row."""
        return paged(self._pages(after))

    async def fingerprint(self) -> str | None:
        """Changes when a file does, or comes, or goes."""
        return await (await run_sync(self._shelf)).fingerprint()

    async def columns(self) -> frozenset[str] | None:
        """The columns that every file has, in it or in its path."""
        return await run_sync(self._common)

    def covers(self, target: Target) -> bool:
        """Tells whether one of the files would be what a sink writes."""
        return covers(self._meant(), target)

    def _shelf(self) -> Shelf:
        return folder(self._meant())

    def _meant(self) -> Path:
        return self._path / "**" / "*.parquet" if self._path.is_dir() else self._path

    def _common(self) -> frozenset[str] | None:
        common: frozenset[str] | None = None
        for found in filter(_is_meant, self._shelf().files()):
            with opened(found, self._columns) as file:
                names = frozenset((*(name for name, _ in file.columns), *file.partitions))
                common = names if common is None else common & names
        return common

    def _pages(self, after: Cursor | None) -> Generator[Page]:
        place = None if after is None else stood(after, Place)
        for found in self._remaining(place):
            with opened(found, self._columns) as file:
                stamp = file.stamp()
                if place and place.stamp != stamp:
                    raise SourceError(
                        f"{found.path} was edited: the run stood in it at row {place.row + 1} of row group {place.group + 1}",
                        hint=GONE,
                    )
                yield from self._file(file, place or Place(found.name, 0, 0, stamp))
            place = None

    def _remaining(self, place: Place | None) -> Iterator[Found]:
        shelf = self._shelf()
        files = shelf.files(place.file if place else None)
        if place is None:
            yield from filter(_is_meant, files)
            return
        current = next(files, None)
        if current is None or current.name != place.file:
            raise SourceError(f"{place.file} is gone from {shelf.name}, where the run stood in it", hint=GONE)
        yield current
        yield from filter(_is_meant, files)

    def _file(self, file: Opened, place: Place) -> Generator[Page]:
        groups = [file.file.metadata.row_group(group).num_rows for group in range(file.file.metadata.num_row_groups)]
        before = [0, *accumulate(groups)]
        for group in range(place.group, len(groups)):
            skip = place.row if group == place.group else 0
            row = 0
            for batch in _batches(file, group, before[group]):
                row += batch.num_rows
                if row <= skip:
                    continue
                left = batch.slice(max(0, batch.num_rows - (row - skip)))
                items = self._items(file, left, before[group] + row - left.num_rows + 1)
                ended = row == groups[group]
                yield Page(
                    items,
                    msgspec.to_builtins(
                        Place(place.file, group + ended, 0 if ended else row, place.stamp),
                    ),
                )

    def _items(self, file: Opened, batch: Batch, first: int) -> list[Record | Unreadable]:
        """Makes records of rows; `first` is the number of the first, from 1."""
        names = [name for name, _ in file.columns]
        try:
            values = [_values(batch, name, read) for name, read in file.columns]
        except FOREIGN:
            return [item for n in range(batch.num_rows) for item in self._one(file, batch.slice(n, 1), first + n)]
        rows = zip(*values, strict=True) if values else iter([()] * batch.num_rows)
        beside, name, make = file.partitions, file.found.name, self._item
        return [
            make(dict(zip(names, row, strict=True)) | beside, f"{name}:{number}")
            for number, row in enumerate(rows, first)
        ]

    def _one(self, file: Opened, batch: Batch, number: int) -> list[Record | Unreadable]:
        """Makes a record of a row, or says what is wrong with it."""
        data: dict[str, Any] = {}
        for name, read in file.columns:
            try:
                [data[name]] = _values(batch, name, read)
            except FOREIGN as error:
                reason = f"column {name!r} cannot be read: {error}"
                return [Unreadable(f"{file.found.name}:{number}", reason, excerpt=str(data)[:200])]
        return [self._item(data | file.partitions, f"{file.found.name}:{number}")]

    def _item(self, data: Mapping[str, Any], origin: str) -> Record | Unreadable:
        if self._key is None:
            return Record(origin, data, origin)
        keys = [key_of(data.get(column)) for column in self._key]
        if all(keys):
            return Record(keys[0] if len(keys) == 1 else "/".join(map(_step, keys)), data, origin)
        bad = self._key[keys.index("")]
        return Unreadable(origin, no_key(bad, data.get(bad), data), excerpt=str(data)[:200], columns=tuple(data))


def _is_meant(found: Found) -> bool:
    """Passes over folders like `_temporary` and `_delta_log`: what lies in them is no part of a dataset, and may be Parquet, too."""
    return not any(step.startswith("_") and "=" not in step for step in found.name.split("/")[:-1])


def _values(batch: Batch, name: str, read: Reading) -> list[Any]:
    return read.values(batch.column(batch.schema.names.index(name)))


def _batches(file: Opened, group: int, before: int) -> Iterator[Batch]:
    """Reads a row group; where it breaks off, says at which row."""
    row = before
    try:
        for batch in file.batches(group):
            yield batch
            row += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise damaged(file.found, f"cannot be read from row {row + 1} on (row group {group + 1})", error) from error


def _step(key: str) -> str:
    """Keeps the slash that joins keys apart from one in a key."""
    return key.replace("%", "%25").replace("/", "%2F")
