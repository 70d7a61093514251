"""How values are held in a column: Arrow's type, and what fits into it.

A JSON schema becomes types like this:

    string, enum or const of texts      string
    integer                             int64
    number                              float64
    boolean                             bool
    array with `items`                  list
    object, closed                      struct: it has `properties`, and `additionalProperties: false`
    T or null                           T, for every column and member may be null
    integer or number                   float64
    $ref into the schema                what it leads to
    anything else                       string, holding JSON: open objects, other unions, tuples, recursion

An open object is kept as JSON because a struct would drop the members that no property names. For the same reason, values are
held against the shape before Arrow sees them: Arrow takes `"abc"` for a list of three letters, and passes over members
that it does not know.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, cast

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


def _moment(value: datetime.datetime) -> datetime.datetime:
    return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value


TEXT = Shape(arrow=pa.string())
INTEGER = Shape(arrow=pa.int64())
REAL = Shape(arrow=pa.float64(), flat=False)
JSON = Shape(arrow=pa.string(), write=json_text, flat=False)
PLAIN = Shape(arrow=pa.string(), write=words)
"""A value of which nothing is known, as a column of CSV holds it."""

NAMED: Mapping[Word, Shape] = {
    "string": PLAIN,
    "integer": Shape(arrow=pa.int64(), fits=_INT64 | float, lax=True),
    "number": Shape(arrow=pa.float64(), fits=float, lax=True, flat=False),
    "boolean": Shape(arrow=pa.bool_(), fits=bool, lax=True),
    "date": Shape(arrow=pa.date32(), fits=datetime.date, lax=True),
    "timestamp": Shape(arrow=pa.timestamp("us", tz="UTC"), fits=datetime.datetime, lax=True, write=_moment, flat=False),
    "json": JSON,
}
"""What a job file may call for by name; texts are read as what they say."""

_SIMPLE: Mapping[str, Shape] = {
    "string": Shape(arrow=pa.string(), fits=str),
    # JSON Schema calls 1.0 an integer, too; Arrow takes it, and refuses 1.5.
    "integer": Shape(arrow=pa.int64(), fits=_INT64 | float),
    "number": Shape(arrow=pa.float64(), fits=float, flat=False),
    "boolean": Shape(arrow=pa.bool_(), fits=bool),
}
_KINDS: Mapping[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ALIKE = {frozenset({"integer", "number"}): "number"}


class Outputs:
    """The JSON schema of a job's outputs."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema

    def shape(self, steps: Sequence[str | int] = ()) -> Shape:
        """Gives the shape at a place in an output; a place that no output has is a `ValueError`."""
        node: Any = self._root
        for number, step in enumerate(steps):
            node = self._inner(_bare(self._resolved(node)), step, steps[:number])
        return self._shape(node, ())

    def _inner(self, node: Any, step: str | int, before: Sequence[str | int]) -> Any:
        if isinstance(step, int):
            return node.get("items", True) if isinstance(node, dict) else True
        members: Any = node.get("properties", {}) if isinstance(node, dict) else {}
        if step not in members and is_closed(node):
            here = ".".join(map(str, ("output", *before)))
            raise ValueError(f"{here} has no member {step!r}; the schema gives it {', '.join(members) or 'none'}")
        return members.get(step, True)

    def _shape(self, node: Any, inside: tuple[str, ...]) -> Shape:
        if isinstance(node, dict) and "$ref" in node:
            pointer = str(cast("dict[str, Any]", node)["$ref"])
            return JSON if pointer in inside else self._shape(self._at(pointer), (*inside, pointer))
        node = _bare(node)
        if isinstance(node, dict) and "$ref" in node:
            return self._shape(node, inside)
        match node:
            case {"enum": [*values]}:
                return _of_values(values)
            case {"const": value}:
                return _of_values([value])
            case {"type": str() as word} if word in _SIMPLE:
                return _SIMPLE[word]
            case {"type": "array", "items": items} if "prefixItems" not in node and items is not True:
                return _list_of(self._shape(items, inside))
            case {"type": "object", "properties": dict() as members} if members and is_closed(node):
                members = cast("dict[str, Any]", members)
                return _struct_of({name: self._shape(member, inside) for name, member in members.items()})
            case {"type": [*kinds]} if shape := _SIMPLE.get(_ALIKE.get(frozenset(map(str, kinds)), "")):
                return shape
            case _:
                return JSON

    def _resolved(self, node: Any) -> Any:
        seen: set[str] = set()
        while isinstance(node, dict) and "$ref" in (node := _bare(node)):
            pointer = str(cast("dict[str, Any]", node)["$ref"])
            if pointer in seen:
                return True
            seen.add(pointer)
            node = self._at(pointer)
        return node

    def _at(self, pointer: str) -> Any:
        """Follows a pointer into the schema; one that leads elsewhere may be anything."""
        if not pointer.startswith("#"):
            return True
        node: Any = self._root
        for step in pointer[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            node = cast("dict[str, Any]", node).get(name, True) if isinstance(node, dict) else True
        return node


def is_closed(node: Any) -> bool:
    """Tells whether an object of this schema has no members but its properties."""
    match node:
        case {"type": "object", "additionalProperties": False}:
            return "patternProperties" not in node
        case _:
            return False


def _bare(node: Any) -> Any:
    """Takes null away from a schema that allows something else, and the wrapping from one that is alone in it."""
    if not isinstance(node, dict):
        return node
    node = cast("dict[str, Any]", node)
    for word in ("anyOf", "oneOf", "allOf"):
        options: Any = node.get(word)
        if isinstance(options, list):
            left = [one for one in cast("list[Any]", options) if one != {"type": "null"}]
            return _bare(left[0]) if len(left) == 1 and "properties" not in node else True
    kinds: Any = node.get("type")
    if isinstance(kinds, list):
        left = [kind for kind in cast("list[Any]", kinds) if kind != "null"]
        return {**node, "type": left[0] if len(left) == 1 else left}
    return node


def _of_values(values: Sequence[Any]) -> Shape:
    kinds = {_KINDS.get(type(value), "") for value in values if value is not None}
    return _SIMPLE.get(kinds.pop() if len(kinds) == 1 else "", JSON)


def _list_of(item: Shape) -> Shape:
    write = item.write
    return Shape(
        arrow=pa.list_(item.arrow),
        fits=list[item.fits | None] if item.fits is not None else list[Any],
        write=(lambda values: [None if one is None else write(one) for one in values]) if write else None,
        flat=False,
    )


def _struct_of(members: Mapping[str, Shape]) -> Shape:
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
