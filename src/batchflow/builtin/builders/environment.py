r"""The Jinja2 that templates run in: sandboxed, strict, and the same today as tomorrow.

What a template sees is its record and nothing else: no files, no process environment, no clock, no randomness, because
a record built again after a crash must give the same bytes. Four choices differ from plain Jinja2, all because a
wrongly rendered prompt is paid for:

- a name that is not there is an error, never an empty string (`StrictUndefined`);
- `{{ claim.items }}` is the record's field "items" where there is one; plain Jinja2 prints Python's method;
- a value that turns out to be a function is an error, not `<built-in method ...>` in a million prompts;
- `tojson` writes plain JSON: Jinja2's is made for HTML, and writes `\u003c` for every `<`.

Whitespace is Jinja2's default: one newline at the very end of a text is dropped (editors put it there), line ends become
`\n`, and nothing else is trimmed. Nothing is escaped: a prompt is not HTML.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import StrictUndefined
from jinja2.exceptions import UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from batchflow.builtin.builders.shapes import is_map

RANDOM = ("lipsum", "random")


class Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which a mapping's own keys come before Python's methods."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Reads `obj.attribute`: the key if the mapping has it, else what Jinja2 would find."""
        if is_map(obj) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def environment(
    filters: Mapping[str, Callable[..., Any]] | None = None, functions: Mapping[str, Callable[..., Any]] | None = None
) -> Environment:
    """Makes an environment with these filters and functions beside Jinja2's own."""
    made = Environment(undefined=StrictUndefined, autoescape=False, finalize=_printable)
    for name in RANDOM:
        made.globals.pop(name, None)
        made.filters.pop(name, None)
    made.filters.update({"tojson": _plain_json, **(filters or {})})
    made.globals.update(functions or {})
    return made


def _plain_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _printable(value: Any) -> Any:
    if callable(value) and not isinstance(value, StrictUndefined):
        raise UndefinedError(f"{getattr(value, '__name__', value)!r} is a function, not a value of the record")
    return value
