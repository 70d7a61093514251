"""What a YAML file says, with the place of every key and value kept: a mistake can then be pointed at."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from batchflow.model.problem import Path

Scalar: TypeAlias = str | int | float | bool | None


class Place(msgspec.Struct, frozen=True, order=True):
    """A line and a column, both counted from one."""

    line: int
    column: int


class Tree(msgspec.Struct, frozen=True):
    """A scalar, a map or a list, and where it begins. `keys` says where each key of a map stands."""

    value: "Scalar | dict[str, Tree] | list[Tree]"
    at: Place
    keys: Mapping[str, Place] = {}

    @property
    def items(self) -> "dict[str, Tree]":
        """The members of a map; nothing for whatever is no map."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def rows(self) -> "list[Tree]":
        """The members of a list; nothing for whatever is no list."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """The value as Python has it, without places."""
        match self.value:
            case dict():
                return {key: item.plain() for key, item in self.items.items()}
            case list():
                return [item.plain() for item in self.rows]
            case scalar:
                return scalar

    def without(self, *names: str) -> "Tree":
        """The same map with some keys left out."""
        return Tree({key: item for key, item in self.items.items() if key not in names}, self.at, self.keys)

    def locate(self, path: Path, *, at_key: bool = False) -> Place:
        """Find where a path leads, or the deepest place on the way that is there."""
        node, place = self, self.at
        for position, step in enumerate(path):
            child = node.child(step)
            if child is None:
                return place
            is_last = position == len(path) - 1
            wants_key = (at_key and is_last) or child.value is None
            place = node.keys.get(str(step), child.at) if wants_key else child.at
            node = child
        return place

    def holds(self, path: Path, *, below: Path = ()) -> bool:
        """Tell whether a path leads to something that is written here, further down than `below`."""
        node: Tree | None = self
        for step in path:
            node = node.child(step) if node else None
        return node is not None and len(path) > len(below)

    def child(self, step: str | int) -> "Tree | None":
        """One member, if there is one."""
        match self.value:
            case dict():
                return self.items.get(str(step))
            case list() if isinstance(step, int) and step < len(self.value):
                return self.value[step]
            case _:
                return None


def merged(defaults: Tree, own: Tree) -> Tree:
    """Lay a job's own settings over the defaults: maps merge, everything else replaces; an empty value takes away.

    Two maps are not merged when they describe different things: components of different types, a `{file: ...}`, a `{load: ...}`.
    """
    if not (_is_map(defaults) and _is_map(own)) or _differ(defaults, own):
        return own
    kept = {key: item for key, item in defaults.items.items() if key not in own.items}
    laid = {
        key: merged(defaults.items[key], item) if key in defaults.items else item for key, item in own.items.items()
    }
    keys = {**defaults.keys, **own.keys}
    return Tree(
        {key: item for key, item in {**kept, **laid}.items() if not _taken_away(key, item, defaults)}, own.at, keys
    )


def _taken_away(key: str, item: Tree, defaults: Tree) -> bool:
    return item.value is None and key in defaults.items


def _is_map(tree: Tree) -> bool:
    return isinstance(tree.value, dict)


def _differ(one: Tree, other: Tree) -> bool:
    if any(key in tree.items for key in ("file", "load") for tree in (one, other)):
        return True
    types = [tree.items["type"].value for tree in (one, other) if "type" in tree.items]
    return len(types) == 2 and types[0] != types[1]
