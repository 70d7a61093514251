"""What can be known to be wrong with a request before the first record is built."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from batchflow.builtin.builders.attachment import Attached
from batchflow.builtin.builders.concatenation import WHOLE
from batchflow.builtin.builders.request import SPOKEN, TOOL_INPUT
from batchflow.builtin.builders.shapes import is_list, is_map
from batchflow.builtin.builders.text import Text

OURS = ("model", "max_tokens", "system", "prompt", "messages", "tools", "output", "attach", "override")
LITERAL = frozenset({"output_config", "stop_sequences"})
"""Where braces may be meant as braces: descriptions in a schema, and a text at which to stop. So may they in `tools`."""
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


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


def misplaced_templates(tree: Mapping[str, Any], passed: Iterable[str]) -> Iterator[str]:
    """Lists templates where none are filled: they would be sent letter by letter, in every row."""
    for name in passed:
        if name not in LITERAL:
            yield from _unfilled(tree[name], name)
    for name in ("system", "messages"):
        if is_list(blocks := tree.get(name)):
            yield from _unfilled(blocks, name)


def _unfilled(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, str) and _TEMPLATE.search(value):
        yield (
            f"{where}: a template is not filled here and would be sent as it stands; give what differs from record to record "
            "in a column that `override:` names"
        )
    elif isinstance(value, Attached):
        yield from _unfilled(value.blocks, where)
    elif is_list(value):
        for place, item in enumerate(value):
            yield from _unfilled(item, f"{where}[{place}]")
    elif is_map(value):
        for key, item in value.items():
            # Of turns and blocks these texts are filled; a string that is left there was made of no template.
            if not (where.startswith(("system", "messages")) and (key == TOOL_INPUT or _is_text(key, item))):
                yield from _unfilled(item, f"{where}.{key}")


def _is_text(key: str, value: Any) -> bool:
    return key in SPOKEN and isinstance(value, str)


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
