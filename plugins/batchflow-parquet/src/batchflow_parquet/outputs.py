"""The JSON schema of a job's outputs as column types.

    string, enum or const of texts      string
    integer                             int64
    number, or [integer, number]        float64
    boolean                             bool
    array with `items`                  list
    object, closed                      struct: it has `properties`, and `additionalProperties: false`
    T or null                           T, for every column and member may be null
    $ref into the schema                what it leads to
    anything else                       string, holding JSON: open objects, other unions, tuples, recursion

An open object is kept as JSON because a struct would drop the members that no property names.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from batchflow_parquet.shapes import JSON, SIMPLE, Shape, list_of, struct_of

Node: TypeAlias = Mapping[str, Any]
Steps: TypeAlias = Sequence[str | int]

_ANYTHING: Node = {}
_KINDS: Mapping[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_NUMBERS = {"integer", "number"}


class Outputs:
    """Gives the type of an output, or of a place in it."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema

    def shape(self, steps: Steps = ()) -> Shape:
        """Gives the shape at a place in an output; a place that no output has is a `ValueError`."""
        node = _node(self._root)
        for number, step in enumerate(steps):
            node = self._inner(self._resolved(node), step, steps[:number])
        return self._shape(node, frozenset())

    def _inner(self, node: Node, step: str | int, before: Steps) -> Node:
        if isinstance(step, int):
            return _node(node.get("items"))
        members = _node(node.get("properties"))
        if step not in members and _is_closed(node):
            here, known = ".".join(map(str, ("output", *before))), ", ".join(members)
            raise ValueError(f"{here} has no member {step!r}; the schema gives it {known or 'none'}")
        return _node(members.get(step))

    def _shape(self, node: Node, inside: frozenset[str]) -> Shape:
        node = _bare(node)
        if pointer := node.get("$ref"):
            return JSON if pointer in inside else self._shape(self._at(str(pointer)), inside | {str(pointer)})
        if "enum" in node or "const" in node:
            return _of_values(cast("list[Any]", node.get("enum", [node.get("const")])))
        kind: Any = node.get("type")
        if isinstance(kind, list):
            return SIMPLE["number"] if {*cast("list[Any]", kind)} == _NUMBERS else JSON
        if kind == "array" and _node(node.get("items")) and "prefixItems" not in node:
            return list_of(self._shape(_node(node["items"]), inside))
        if _is_closed(node) and (members := _node(node.get("properties"))):
            return struct_of({name: self._shape(_node(member), inside) for name, member in members.items()})
        return SIMPLE.get(str(kind), JSON)

    def _resolved(self, node: Node) -> Node:
        """Follows references until there is none."""
        seen: set[str] = set()
        while pointer := str((node := _bare(node)).get("$ref", "")):
            if pointer in seen:
                return _ANYTHING
            seen.add(pointer)
            node = self._at(pointer)
        return node

    def _at(self, pointer: str) -> Node:
        """Follows a pointer into the schema; what is elsewhere may be anything."""
        if not pointer.startswith("#"):
            return _ANYTHING
        node = self._root
        for step in pointer[1:].split("/")[1:]:
            node = _node(node.get(step.replace("~1", "/").replace("~0", "~")))
        return node


def _node(given: Any) -> Node:
    """Takes a schema; `true`, and what is none, may be anything."""
    return cast("Node", given) if isinstance(given, dict) else _ANYTHING


def _is_closed(node: Node) -> bool:
    """Tells whether an object of this schema has no members but its properties."""
    return (
        node.get("type") == "object" and node.get("additionalProperties") is False and "patternProperties" not in node
    )


def _bare(node: Node) -> Node:
    """Takes null away from a schema that allows something else, and the wrapping from one that is alone in it."""
    for word in ("anyOf", "oneOf", "allOf"):
        if word in node:
            left = [one for one in cast("list[Any]", node[word]) if one != {"type": "null"}]
            return _bare(_node(left[0])) if len(left) == 1 and "properties" not in node else _ANYTHING
    kinds: Any = node.get("type")
    if isinstance(kinds, list):
        left = [kind for kind in cast("list[Any]", kinds) if kind != "null"]
        return {**node, "type": left[0] if len(left) == 1 else left}
    return node


def _of_values(values: Sequence[Any]) -> Shape:
    kinds = {_kind(value) for value in values if value is not None}
    return SIMPLE.get(kinds.pop(), JSON) if len(kinds) == 1 else JSON


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "")
