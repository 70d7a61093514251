"""How values are held in a column: Arrow's type, and what fits into it.

Values are held against the shape before Arrow sees them: Arrow takes `"abc"` for a list of three letters and 1.5 for the
integer 1, and passes over members of an object that it does not know.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from batchflow_parquet.arrow import DataType, pa

Word: TypeAlias = Literal["string", "integer", "number", "boolean", "date", "timestamp", "json"]
Write: TypeAlias = Callable[[Any], Any]

_INT64: Any = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_encode = msgspec.json.Encoder().encode


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A column's type. Without `fits`, values are known to be of that type."""

    arrow: DataType
    fits: Any = None
    """The type that a value must have, in msgspec's eyes."""
    lax: bool = False
    """Texts are read as what they say: CSV has nothing else."""
    write: Write | None = None
    """Makes what Arrow takes of a value that fits."""
    flat: bool = True
    """It can be written in a path."""

    def values(self, given: Sequence[Any]) -> list[Any]:
        """Makes values that Arrow takes, or raises one of `UNFIT`."""
        values = list(given)
        if self.fits is not None:
            read = msgspec.convert(values, list[self.fits | None], strict=not self.lax)
            values = read if self.lax else values
        return values if self.write is None else [None if one is None else self.write(one) for one in values]


def json_text(value: Any) -> str | None:
    """Writes any value as JSON; null is null."""
    text = _encode(value).decode()
    return None if text == "null" else text


def words(value: Any) -> str | None:
    """Leaves a text, and writes anything else as JSON: `12`, `true`, `{"a":1}`."""
    return str(value) if isinstance(value, str) else json_text(value)


def _whole(value: float) -> int:
    """Takes 1.0, which JSON Schema calls an integer, too; 1.5 is refused, which Arrow would cut."""
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} is no whole number")
    return int(value)


def _moment(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value


TEXT = Shape(arrow=pa.string())
INTEGER = Shape(arrow=pa.int64())
REAL = Shape(arrow=pa.float64(), flat=False)
JSON = Shape(arrow=pa.string(), write=json_text, flat=False)
PLAIN = Shape(arrow=pa.string(), write=words)
"""A value of which nothing is known, as a column of CSV holds it."""

NAMED: Mapping[Word, Shape] = {
    "string": PLAIN,
    "integer": Shape(arrow=pa.int64(), fits=_INT64 | float, lax=True, write=_whole),
    "number": Shape(arrow=pa.float64(), fits=float, lax=True, flat=False),
    "boolean": Shape(arrow=pa.bool_(), fits=bool, lax=True),
    "date": Shape(arrow=pa.date32(), fits=dt.date, lax=True),
    "timestamp": Shape(arrow=pa.timestamp("us", tz="UTC"), fits=dt.datetime, lax=True, write=_moment, flat=False),
    "json": JSON,
}
"""What a job file may call for by name; texts are read as what they say."""

SIMPLE: Mapping[str, Shape] = {
    "string": Shape(arrow=pa.string(), fits=str),
    "integer": Shape(arrow=pa.int64(), fits=_INT64 | float, write=_whole),
    "number": Shape(arrow=pa.float64(), fits=float, flat=False),
    "boolean": Shape(arrow=pa.bool_(), fits=bool),
}
"""What JSON Schema calls by these names."""


def list_of(item: Shape) -> Shape:
    """Gives the shape of a list."""
    write = item.write
    return Shape(
        arrow=pa.list_(item.arrow),
        fits=list[Any] if item.fits is None else list[item.fits | None],
        write=(lambda values: [None if one is None else write(one) for one in values]) if write else None,
        flat=False,
    )


def struct_of(members: Mapping[str, Shape]) -> Shape:
    """Gives the shape of an object that has these members and no others; any of them may be missing."""
    names = {f"m{number}": name for number, name in enumerate(members)}
    fields: list[tuple[str, Any, Any]] = [
        (own, Any if members[name].fits is None else members[name].fits | None, None) for own, name in names.items()
    ]
    fits: Any = msgspec.defstruct("object", fields, rename=names, forbid_unknown_fields=True)
    writes = {name: shape.write for name, shape in members.items() if shape.write}
    return Shape(
        arrow=pa.struct([(name, shape.arrow) for name, shape in members.items()]),
        fits=fits,
        write=(lambda value: value | _written(value, writes)) if writes else None,
        flat=False,
    )


def _written(value: Mapping[str, Any], writes: Mapping[str, Write]) -> dict[str, Any]:
    return {name: write(value[name]) for name, write in writes.items() if value.get(name) is not None}
