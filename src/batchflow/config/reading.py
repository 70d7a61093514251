"""YAML into a tree: PyYAML's C parser for the syntax, our own rules for what it means.

Plain words mean what YAML 1.2 says: `true` and `false` are the only booleans, so `on:` is a key and `no` is Norway. A date
is a text, for an API version looks like one. Keys are texts. A key may stand in a map once. No tag makes an object.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from batchflow.config.faults import Fault, Faults
from batchflow.config.tree import Place, Scalar, Tree

CORE = "tag:yaml.org,2002:"
MERGE = "<<"
PLAIN: Mapping[str, re.Pattern[str]] = {
    f"{CORE}null": re.compile(r"(~|null|Null|NULL|)\Z"),
    f"{CORE}bool": re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"),
    f"{CORE}int": re.compile(r"([-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400})\Z"),
    f"{CORE}float": re.compile(r"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z"),
}  # fmt: skip
READ: Mapping[str, Callable[[str], Scalar]] = {
    f"{CORE}null": lambda _: None,
    f"{CORE}bool": lambda written: written.casefold() == "true",
    f"{CORE}int": lambda written: int(written, 0 if written.startswith(("0o", "0x")) else 10),
    f"{CORE}float": lambda written: float(re.sub(r"\.(inf|nan)", r"\1", written, flags=re.IGNORECASE)),
}
HINTS = {
    "found character that cannot start any token": "put the value in quotes; indent with spaces, never with tabs",
    "mapping values are not allowed in this context": "a value that holds `: ` must be in quotes",
    "but found another document": "a job file is one document; take the `---` away",
    "found undefined alias": "a value that begins with `*` must be in quotes",
}


def read(text: str, faults: Faults) -> Tree | None:
    """Read a whole YAML document; what is wrong with it goes to `faults`. None when it cannot be read at all."""
    try:
        root = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        faults.add(_syntax(error))
        return None
    except ReaderError as error:
        faults.add(_character(text, error))
        return None
    return _Reading(faults).tree(root) if root else Tree({}, Place(1, 1))


class _Composer(yaml.CBaseLoader):
    """The C parser, with YAML 1.2's idea of what a plain word means."""

    yaml_implicit_resolvers: ClassVar = {None: list(PLAIN.items())}


class _Reading:
    """One pass over the nodes."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._open: set[int] = set()
        self._done: dict[int, Tree] = {}

    def tree(self, node: Node) -> Tree:
        """Turn a node into a tree; an anchor that is used twice is read once."""
        if id(node) not in self._done:
            self._done[id(node)] = self._read(node)
        return self._done[id(node)]

    def _read(self, node: Node) -> Tree:
        place = _place(node)
        if id(node) in self._open:
            self._faults.add(Fault(place, "this value contains itself"))
            return Tree(None, place)
        self._open.add(id(node))
        try:
            return self._members(node, place)
        finally:
            self._open.discard(id(node))

    def _members(self, node: Node, place: Place) -> Tree:
        match node:
            case MappingNode():
                self._refuse_tag(node, "map")
                return self._map(node, place)
            case SequenceNode():
                self._refuse_tag(node, "seq")
                return Tree([self.tree(item) for item in node.value], place)
            case ScalarNode():
                return Tree(self._scalar(node), place)
            case _:
                raise AssertionError(node)

    def _map(self, node: MappingNode, place: Place) -> Tree:
        items: dict[str, Tree] = {}
        keys: dict[str, Place] = {}
        merged: list[Tree] = []
        for key, value in node.value:
            name, at = self._key(key), _place(key)
            if name in keys:
                self._twice(name, at, keys[name])
            elif name == MERGE:
                merged.extend(self._merged(value))
            elif name:
                items[name], keys[name] = self.tree(value), at
        for other in merged:
            items = other.items | items
            keys = {**other.keys, **keys}
        return Tree(items, place, keys)

    def _merged(self, value: Node) -> Iterator[Tree]:
        tree = self.tree(value)
        for one in tree.rows or [tree]:
            if isinstance(one.value, dict):
                yield one
            else:
                self._faults.add(Fault(_place(value), "`<<` takes a map, or a list of maps"))

    def _key(self, key: Node) -> str:
        if isinstance(key, ScalarNode) and key.value:
            return str(key.value)
        self._faults.add(Fault(_place(key), "a key must be a word", "if a text begins with { or [, put it in quotes"))
        return ""

    def _twice(self, name: str, at: Place, first: Place) -> None:
        self._faults.add(
            Fault(
                at, f"`{name}` stands here for the second time", f"the first is at line {first.line}; keep one of them"
            )
        )

    def _scalar(self, node: ScalarNode) -> Scalar:
        written = str(node.value)
        if node.tag not in PLAIN:
            self._refuse_tag(node, "str")
            return written
        if PLAIN[node.tag].match(written):
            return READ[node.tag](written)
        named = node.tag.removeprefix(CORE)
        self._faults.add(Fault(_place(node), f"`!!{named} {written}` is not understood", "leave the tag out"))
        return None

    def _refuse_tag(self, node: Node, plain: str) -> None:
        if node.tag not in {f"{CORE}{plain}", "!"}:
            shown = node.tag.replace(CORE, "!!")
            self._faults.add(
                Fault(_place(node), f"the tag `{shown}` is not allowed", "a job file holds plain YAML only")
            )


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    problem = error.problem or "it cannot be read"
    context = f" {error.context}" if error.context and error.context_mark else ""
    since = f" (begun at line {error.context_mark.line + 1})" if context and error.context_mark else ""
    return Fault(place, f"this is not YAML: {problem}{context}{since}", HINTS.get(problem, ""))


def _character(text: str, error: ReaderError) -> Fault:
    """Place a character: the parser counts in bytes of UTF-8."""
    before = text.encode()[: error.position].decode(errors="ignore")
    place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
    return Fault(place, f"the character U+{ord(text[len(before)]):04X} is not allowed in YAML")
