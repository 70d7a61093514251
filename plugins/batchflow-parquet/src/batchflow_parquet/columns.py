"""Results into typed columns. A row that fits no column is told and held apart, so that it holds back no other."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from batchflow.lines import TABLE_FIELDS, Column, compile_fields
from batchflow.plugin import Refusal, Result
from batchflow_parquet.arrow import FOREIGN, Batch, Schema, pa
from batchflow_parquet.hive import path_of, step
from batchflow_parquet.outputs import Outputs
from batchflow_parquet.shapes import INTEGER, JSON, NAMED, PLAIN, REAL, TEXT, Shape, Word

UNFIT = (*FOREIGN, msgspec.MsgspecError, RecursionError)
_LONGEST = 300
_STRUCTURES = {"usage", "message"}


class Typed(msgspec.Struct, frozen=True):
    """A column of the files: what it holds of a result, and as which type."""

    name: str
    over: Callable[[Sequence[Result]], Iterable[Any]]
    shape: Shape

    def values(self, rows: Sequence[Result]) -> list[Any]:
        """Gives this column of some rows; what does not fit raises one of `UNFIT`."""
        return self.shape.values([*self.over(rows)])


class Sorted(msgspec.Struct, frozen=True):
    """Rows by the folder that they belong into, and those that belong nowhere."""

    batches: Mapping[str, Batch]
    refused: Sequence[Refusal]


class Layout:
    """The columns of a dataset: which stand in the files, and which in the paths."""

    def __init__(self, columns: Sequence[Typed], partition_by: Sequence[str]) -> None:
        self._paths = [column for name in partition_by for column in columns if column.name == name]
        self._inner = [column for column in columns if column.name not in partition_by]
        self.by = tuple(partition_by)
        self.schema: Schema = pa.schema([(column.name, column.shape.arrow) for column in self._inner])

    def sorted(self, rows: Sequence[Result]) -> Sorted:
        """Makes record batches of some results."""
        try:
            return Sorted(self._batches(rows), ())
        except UNFIT:
            complaints = [self._complaint(row) for row in rows]
        good = [row for row, why in zip(rows, complaints, strict=True) if not why]
        refused = [Refusal(row=row.row, key=row.key, why=why) for row, why in zip(rows, complaints, strict=True) if why]
        return Sorted(self._batches(good), refused)

    def _batches(self, rows: Sequence[Result]) -> dict[str, Batch]:
        if not rows:
            return {}
        arrays = [pa.array(column.values(rows), column.shape.arrow) for column in self._inner]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        groups: dict[str, list[int]] = {}
        for number, values in enumerate(zip(*(column.values(rows) for column in self._paths), strict=True)):
            groups.setdefault(path_of(self.by, values), []).append(number)
        if len(groups) < 2:
            return {next(iter(groups), ""): batch}
        return {path: batch.take(pa.array(numbers)) for path, numbers in groups.items()}

    def _complaint(self, row: Result) -> str:
        """Says why one row does not fit; empty when it does."""
        for column in chain(self._paths, self._inner):
            try:
                values = column.values([row])
                if column.name in self.by:
                    step(column.name, values[0])
                else:
                    pa.array(values, column.shape.arrow)
            except UNFIT as error:
                return _said(column.name, error)
        return ""


def _said(column: str, error: Exception) -> str:
    what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    text = what.replace("- at `$[0]`", "").replace("`$[0]", f"`{column}").strip()
    return f"it does not fit column {column!r}: {text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...'}"


def layout(
    fields: Mapping[str, str] | None,
    *,
    types: Mapping[str, Word],
    partition_by: Sequence[str],
    carry: Collection[str] | None,
    output: Mapping[str, Any] | None,
) -> Layout:
    """Takes what a job says about its columns, or raises `ValueError`."""
    outputs = Outputs(output) if output else None
    columns = _usual(carry, outputs) if fields is None else _declared(fields, carry, outputs)
    names = [column.name for column in columns]
    _known("types", types, names)
    _known("partition_by", partition_by, names)
    columns = [Typed(one.name, one.over, NAMED[types[one.name]] if one.name in types else one.shape) for one in columns]
    for column in columns:
        if column.name in partition_by and not column.shape.flat:
            raise ValueError(
                f"partition_by: column {column.name!r} holds numbers with fractions, times or structures, which make no good folders; "
                "partition by texts, whole numbers, booleans or dates"
            )
    if len(set(partition_by)) < len(partition_by) or len(partition_by) == len(names):
        raise ValueError("partition_by must name each column once, and leave some for the files")
    return Layout(columns, partition_by)


def _known(option: str, wanted: Iterable[str], names: Sequence[str]) -> None:
    for name in wanted:
        if name not in names:
            raise ValueError(f"{option}: there is no column {name!r}; there is {', '.join(names)}")


def _declared(fields: Mapping[str, str], carry: Collection[str] | None, outputs: Outputs | None) -> list[Typed]:
    columns = compile_fields(fields, carry).columns
    return [Typed(column.name, column.over, _shape(column, fields[column.name], outputs)) for column in columns]


def _usual(carry: Collection[str] | None, outputs: Outputs | None) -> list[Typed]:
    """Gives the columns of a job that names none: those of CSV, carried ones, and the output where it has a schema."""
    carried = {name: f'carried["{name}"]' for name in carry or ()}
    fields = {"key": "key", "word": "word"} | ({"output": "output"} if outputs else {}) | TABLE_FIELDS
    if both := [name for name in carried if name in fields]:
        raise ValueError(
            f"the job carries a column {both[0]!r}, and results have one of that name: name both in `fields`"
        )
    head = {name: fields[name] for name in ("key", "word")}
    typed = _declared(head | carried | fields, carry, outputs)
    return [Typed("text", _unless_output, TEXT) if outputs and one.name == "text" else one for one in typed]


def _unless_output(rows: Sequence[Result]) -> Iterable[str | None]:
    """Gives the answer's text where the output does not hold it already."""
    return (row.text if row.output is None else None for row in rows)


def _shape(column: Column, expression: str, outputs: Outputs | None) -> Shape:
    match column.kind:
        case "text":
            return TEXT
        case "integer":
            return INTEGER
        case "real":
            return REAL
        case "any" if column.output is not None:
            return _shape_of_output(column, outputs)
        case "any":
            return JSON if expression.strip() in _STRUCTURES else PLAIN


def _shape_of_output(column: Column, outputs: Outputs | None) -> Shape:
    if outputs is None or column.output is None:
        return PLAIN if column.output else JSON
    try:
        return outputs.shape(column.output)
    except ValueError as error:
        raise ValueError(f"field {column.name!r}: {error}") from error
