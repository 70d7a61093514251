"""What this plugin uses of pyarrow, with types: the library itself brings none."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Protocol, cast

import pyarrow  # noqa: ICN001 -- `pa` is the typed view of it
import pyarrow.parquet


class DataType(Protocol):
    """The type of a column. Its parts are there where its kind has them."""

    id: int
    num_fields: int
    value_type: "DataType"
    key_type: "DataType"
    item_type: "DataType"
    storage_type: "DataType"
    unit: str
    tz: str | None

    def field(self, number: int) -> "Field":
        """Gives a member of a struct."""
        ...


class Field(Protocol):
    """A column of a schema, or a member of a struct."""

    name: str
    type: DataType


class Schema(Protocol):
    """Columns in their order."""

    names: Sequence[str]

    def __iter__(self) -> Iterator[Field]: ...

    def field(self, name: str | int) -> Field:
        """Gives a column."""
        ...


class Array(Protocol):
    """The values of one column."""

    def __len__(self) -> int: ...

    def to_pylist(self) -> list[Any]:
        """Gives them as Python has them."""
        ...

    def cast(self, type: DataType) -> "Array":
        """Gives them another type."""
        ...

    def slice(self, offset: int, length: int) -> "Array":
        """Gives some of them."""
        ...


class Batch(Protocol):
    """Some rows, column by column."""

    num_rows: int
    nbytes: int
    schema: Schema

    def column(self, number: int) -> Array:
        """Gives a column."""
        ...

    def take(self, rows: Array) -> "Batch":
        """Gives some rows."""
        ...

    def slice(self, offset: int = 0, length: int | None = None) -> "Batch":
        """Gives rows that follow each other."""
        ...


class Table(Protocol):
    """Batches behind each other."""


class Writer(Protocol):
    """Writes one file."""

    def write_table(self, table: Table, row_group_size: int) -> None:
        """Writes row groups of at most so many rows."""
        ...

    def close(self) -> None:
        """Writes the footer."""
        ...


class RowGroup(Protocol):
    """What a footer says of a row group."""

    num_rows: int
    total_byte_size: int


class Metadata(Protocol):
    """What a footer says."""

    num_rows: int
    num_row_groups: int
    serialized_size: int

    def row_group(self, number: int) -> RowGroup:
        """Gives a row group's part of it."""
        ...


class File(Protocol):
    """A file that is open for reading."""

    metadata: Metadata
    schema_arrow: Schema

    def iter_batches(
        self, *, batch_size: int, row_groups: Sequence[int], columns: Sequence[str], use_threads: bool
    ) -> Iterator[Batch]:
        """Reads the columns of row groups, some rows at a time."""
        ...

    def close(self) -> None:
        """Lets go of it."""
        ...


class Kinds(Protocol):
    """Tells types apart."""

    def __getattr__(self, name: str) -> "Kind": ...


class Kind(Protocol):
    """Tells whether a type is of one kind."""

    def __call__(self, type: DataType, /) -> bool: ...


class _Table(Protocol):
    def from_batches(self, batches: Sequence[Batch], schema: Schema) -> Table: ...


class _Batch(Protocol):
    def from_arrays(self, arrays: Sequence[Array], *, schema: Schema) -> Batch: ...


class _Arrow(Protocol):
    types: Kinds
    Table: _Table
    RecordBatch: _Batch
    ArrowException: type[Exception]

    def array(self, values: Sequence[Any], type: DataType | None = None) -> Array: ...
    def schema(self, fields: Sequence[tuple[str, DataType]]) -> Schema: ...
    def struct(self, fields: Sequence[tuple[str, DataType]]) -> DataType: ...
    def list_(self, item: DataType) -> DataType: ...
    def map_(self, key: DataType, item: DataType) -> DataType: ...
    def timestamp(self, unit: str, tz: str | None = None) -> DataType: ...
    def string(self) -> DataType: ...
    def int64(self) -> DataType: ...
    def float64(self) -> DataType: ...
    def bool_(self) -> DataType: ...
    def date32(self) -> DataType: ...
    def null(self) -> DataType: ...


class _Parquet(Protocol):
    def ParquetWriter(self, where: BinaryIO, schema: Schema, **options: object) -> Writer: ...  # noqa: N802 -- the library's name
    def read_schema(self, where: str) -> Schema: ...
    def ParquetFile(self, source: str, **options: object) -> File: ...  # noqa: N802 -- the library's name


pa = cast("_Arrow", pyarrow)
pq = cast("_Parquet", pyarrow.parquet)

FOREIGN = (ValueError, TypeError, OverflowError, NotImplementedError, pa.ArrowException)
"""What the library raises of values that a type cannot hold; I/O is an `OSError`."""
