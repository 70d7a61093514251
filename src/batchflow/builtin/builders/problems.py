"""What can be known to be wrong with a request before the first record is built."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from batchflow.builtin.builders.concatenation import WHOLE
from batchflow.builtin.builders.shapes import is_map
from batchflow.builtin.builders.text import Number, Text

NO_SAMPLING_SINCE = "2026-10-21"
SAMPLING = ("temperature", "top_p", "top_k")
OURS = ("model", "max_tokens", "system", "prompt", "messages", "tools", "output", "attach", "override")


def template_faults(texts: Iterable[Text]) -> Iterator[str]:
    """Lists templates that do not compile, and texts that are empty whatever the record."""
    for text in texts:
        yield from text.faults
        if text.is_empty:
            yield f"{text.where}: it is empty"


def unknown_variables(texts: Iterable[Text], columns: frozenset[str]) -> Iterator[str]:
    """Lists variables that no record will have."""
    for text in texts:
        read = text.variables if WHOLE in columns else text.variables | text.spelt_out
        for name, line in read.items():
            if name not in columns | text.optional:
                yield f"{text.where}: line {line}: unknown variable {name!r}{suggestion(name, columns, text.functions)}"


def unknown_columns(settings: Mapping[str, str], columns: frozenset[str]) -> Iterator[str]:
    """Lists columns that `attach` and `override` name and no record will have."""
    for setting, name in settings.items():
        if name not in columns:
            yield f"{setting}: unknown column {name!r}{suggestion(name, columns)} (a record without it may hold null there)"


def suggestion(name: str, known: Iterable[str], functions: Iterable[str] = ()) -> str:
    """Names the nearest known name, or a few of them."""
    among = sorted(known)
    near = get_close_matches(name, [*among, *functions], 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(among[:12])}" if among else ""


def refused_parameters(tree: Mapping[str, Any], version: str) -> Iterator[str]:
    """Lists parameters that the API refuses in every row of a batch."""
    for name in SAMPLING:
        if name in tree and version >= NO_SAMPLING_SINCE:
            yield f"{name}: API version {version} refuses it in every request, even at its default; remove it, or set the provider's version to 2023-06-01"
    if tree.get("stream", False) is not False:
        yield "stream: batches cannot stream; remove it"
    if tree.get("speed") is not None:
        yield "speed: batches have no fast mode; remove it"
    yield from _length(tree["max_tokens"])


def _length(max_tokens: Any) -> Iterator[str]:
    if isinstance(max_tokens, Number):
        if (written := max_tokens.text.constant) is not None:
            yield f"max_tokens: {written!r} is no whole number"
    elif isinstance(max_tokens, bool) or max_tokens < 1:
        yield f"max_tokens: batches need a whole number of at least 1, not {max_tokens}"


def misspelt_parameters(names: Iterable[str]) -> Iterator[str]:
    """Lists parameters that are a slip of the pen away from one of ours; all others are the API's to judge."""
    for name in names:
        if near := get_close_matches(name, OURS, 1, cutoff=0.85):
            yield f"{name}: no such setting; did you mean {near[0]!r}?"


def schema_faults(schema: Any) -> Iterator[str]:
    """Lists what is wrong with an output schema."""
    if not is_map(schema):
        yield f"output: a JSON schema is a map, not {type(schema).__name__}"
        return
    from batchflow.builtin.checks.schema import fault  # only jobs with an output schema need the validator

    if found := fault(schema):
        yield f"output: {found}"
