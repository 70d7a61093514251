"""The mapping language of `fields:`: which column gets what of a result.

    fields: {claim_id: key, severity: output.severity, first: "output.items[0].name", status: "'done'"}

An expression is one of

    key  text  word  attempt  batch  model  error  origin  stop_reason
    cost  list_cost                   dollars
    output  output.a.b[0]             the parsed structured output, or a place in it; nothing there gives null
    usage  usage.input_tokens  ...    the counts of tokens, under the API's names
    message                           the whole answer as the API sent it
    COLUMN  COLUMN.a  carried.COLUMN  a carried column, or a place in it; `carried.` reaches one that is named like a word above
    'text'                            that text; a quote in it is written twice

A step that is not plain is written `["a.b"]`. Each expression is compiled once; a chunk of results becomes a table by
mapping each column over the chunk, so a plain column costs no Python call per row.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import repeat
from operator import attrgetter
from typing import Any, Literal, TypeAlias, cast

import msgspec

from batchflow.model.money import DOLLAR
from batchflow.model.result import Result, Usage

Kind: TypeAlias = Literal["text", "integer", "real", "any"]
"""What a column can hold; `any` is whatever a JSON value can be."""

Step: TypeAlias = str | int
Getter: TypeAlias = Callable[[Result], Any]

_PLAIN: dict[str, Kind] = {
    "key": "text", "text": "text", "word": "text", "attempt": "integer", "batch": "text", "model": "text",
    "error": "text", "origin": "text", "stop_reason": "text", "message": "any", "output": "any", "usage": "any",
}  # fmt: skip
_MONEY: tuple[str, ...] = ("cost", "list_cost")
_WORDS = (*_PLAIN, *_MONEY, "carried")

_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_ROOT = re.compile(r"[^.\[\]'\"]+")
_STEP = re.compile(r"""\.(?P<name>[^.\[\]]+)|\[(?P<index>-?\d+)\]|\["(?P<double>[^"]*)"\]|\['(?P<single>[^']*)'\]""")


class Column(msgspec.Struct, frozen=True):
    """One compiled expression."""

    name: str
    kind: Kind
    get: Getter | None
    """None for a literal: then `literal` is the value of every row."""
    literal: str = ""
    root: str = ""
    """The carried column it begins at, if it does."""
    output: tuple[Step, ...] | None = None
    """The way into the structured output, if it goes there: () is all of it."""

    def over(self, rows: Sequence[Result]) -> Iterator[Any]:
        """Gives this column of some rows."""
        return map(self.get, rows) if self.get else repeat(self.literal, len(rows))


class Fields:
    """A compiled mapping: a chunk of results in, a table out."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in columns)

    def table(self, rows: Sequence[Result]) -> Iterator[tuple[Any, ...]]:
        """Gives a tuple per row, values as they are."""
        return zip(*(column.over(rows) for column in self.columns), strict=True)

    def flat(self, rows: Sequence[Result], cell: Callable[[Any], Any]) -> Iterator[tuple[Any, ...]]:
        """Gives a tuple per row, with `cell` making something flat of what may be a structure."""
        return zip(
            *(map(cell, c.over(rows)) if c.kind == "any" else c.over(rows) for c in self.columns),
            strict=True,
        )


def compile_fields(fields: Mapping[str, str], carry: Collection[str] | None = None) -> Fields:
    """Compiles a mapping, or raises ValueError with everything that is wrong in it.

    Without `carry` a name that is no word of the language is taken for a carried column, and gives null where a row has none.
    """
    if found := problems(fields, carry):
        raise ValueError("; ".join(found))
    return Fields([_compile(name, expression) for name, expression in fields.items()])


def problems(fields: Mapping[str, str], carry: Collection[str] | None = None) -> list[str]:
    """Says everything that is wrong in a mapping; `carry` are the carried columns, where they are known."""
    if not fields:
        return ["`fields` names no column"]
    return [problem for name, text in fields.items() if (problem := _problem(name, text, carry))]


def _problem(name: str, expression: str, carry: Collection[str] | None) -> str:
    try:
        column = _compile(name, expression)
    except ValueError as error:
        return f"field {name!r}: {error}"
    if carry is None or not column.root or column.root in carry:
        return ""
    return f"field {name!r}: {_unknown(column.root, (*_WORDS, *sorted(carry)))} (only columns listed in `carry` can be used here)"


def _compile(name: str, expression: str) -> Column:
    expression = expression.strip()
    if literal := _LITERAL.fullmatch(expression):
        return Column(name=name, kind="text", get=None, literal=literal[1].replace("''", "'"))
    root, steps = _parse(expression)
    if root in _MONEY:
        return Column(name=name, kind="real", get=_dollars(_bare(root, steps)))
    if root == "usage" and steps:
        return _usage_column(name, steps)
    if root == "output" and steps:
        return Column(name=name, kind="any", get=_path(attrgetter("output"), steps), output=steps)
    if root in _PLAIN:
        whole = () if root == "output" else None
        return Column(name=name, kind=_PLAIN[root], get=attrgetter(_bare(root, steps)), output=whole)
    return _carried_column(name, root, steps)


def _parse(expression: str) -> tuple[str, tuple[Step, ...]]:
    root = _ROOT.match(expression)
    if not root:
        raise ValueError(
            f"cannot read {expression!r}: write a word such as key, text, output.NAME, or a 'literal text'"
        )
    steps: list[Step] = []
    place = root.end()
    while place < len(expression):
        step = _STEP.match(expression, place)
        if not step:
            raise ValueError(
                f'cannot read {expression!r} from {expression[place:]!r} on: a step is .name, [0] or ["name"]'
            )
        steps.append(_step(step))
        place = step.end()
    return root[0], tuple(steps)


def _step(step: re.Match[str]) -> Step:
    index = step["index"]
    return int(index) if index else step["name"] or step["double"] or step["single"] or ""


def _bare(root: str, steps: tuple[Step, ...]) -> str:
    if steps:
        raise ValueError(f"{root} has no parts, so nothing can follow it")
    return root


def _dollars(attribute: str) -> Getter:
    nano = attrgetter(attribute)
    return lambda result: nano(result) / DOLLAR


def _usage_column(name: str, steps: tuple[Step, ...]) -> Column:
    path = ".".join(map(str, steps))
    known = tuple(_usage_paths())
    if path not in known:
        raise ValueError(_unknown(f"usage.{path}", tuple(f"usage.{one}" for one in known)))
    kind: Kind = "text" if path == "inference_geo" else "integer"
    return Column(name=name, kind=kind, get=_usage(steps))


def _usage_paths() -> Iterator[str]:
    for field in msgspec.structs.fields(Usage):
        yield field.name
    yield from ("cache_creation.ephemeral_5m_input_tokens", "cache_creation.ephemeral_1h_input_tokens")
    yield "server_tool_use.web_search_requests"


def _usage(steps: tuple[Step, ...]) -> Getter:
    names = tuple(map(str, steps))
    if len(names) == 1:
        return attrgetter(f"usage.{names[0]}")

    def get(result: Result) -> Any:
        value: Any = result.usage
        for name in names:
            value = getattr(value, name, None)
        return value

    return get


def _carried_column(name: str, root: str, steps: tuple[Step, ...]) -> Column:
    if root == "carried":
        if not steps:
            return Column(name=name, kind="any", get=attrgetter("carried"))
        root, steps = str(steps[0]), steps[1:]
    return Column(name=name, kind="any", get=_path(attrgetter("carried"), (root, *steps)), root=root)


def _path(start: Getter, steps: tuple[Step, ...]) -> Getter:
    def get(result: Result) -> Any:
        value = start(result)
        for step in steps:
            value = _inner(value, step)
        return value

    return get


def _inner(value: Any, step: Step) -> Any:
    if isinstance(step, str):
        return cast("dict[str, Any]", value).get(step) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    items = cast("list[Any]", value)
    return items[step] if -len(items) <= step < len(items) else None


def _unknown(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=3)
    offer = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(known)}"
    return f"there is no {name!r}; {offer}"
