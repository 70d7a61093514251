"""A check: what looks like a card number is blacked out before any sink sees it, the dead letters' file included."""

import re
from typing import Any

import msgspec

from batchflow.plugin import Register, Result, hookimpl

CARD = re.compile(r"\b(?:\d[ -]?){12}(?:\d[ -]?){0,6}\d\b", re.ASCII)
BLACK = "[card]"


class Redact:
    """Passes everything on, changed where it must be."""

    def check(self, result: Result) -> Result:
        """Text, structured output, and the answer's own line, which holds the text a second time."""
        text, output = blacked(result.text), blacked(result.output)
        if (text, output) == (result.text, result.output):
            return result
        return msgspec.structs.replace(result, text=text, output=output, line=b"")


def blacked(value: Any) -> Any:
    """Black out card numbers wherever they stand in a JSON value."""
    match value:
        case str():
            return CARD.sub(BLACK, value)
        case dict():
            return {key: blacked(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
        case list():
            return [blacked(one) for one in value]  # pyright: ignore[reportUnknownVariableType] - JSON
        case _:
            return value


def redact() -> Redact:
    """Black out card numbers."""
    return Redact()


@hookimpl
def register_checks(register: Register) -> None:
    """Hand over the check."""
    register("redact", redact)
