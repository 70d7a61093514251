"""What may be a record's key."""

from collections.abc import Iterable
from itertools import islice
from typing import Any


def key_of(value: Any) -> str:
    """Writes a value as a key; "" says that it cannot be one. Numbers may be keys: databases count."""
    match value:
        case bool():
            return ""
        case str():
            return value
        case int() | float():
            return str(value)
        case _:
            return ""


NAMED = 12
"""So many columns are named at most."""


def no_key(column: str, value: Any, columns: Iterable[Any] = ()) -> str:
    """Says why there is no key, and what there is instead."""
    if value is None:
        names = [str(name) for name in islice(columns, NAMED)]
        return f"there is no {column!r}, which is the key" + (f"; there is {', '.join(names)}" if names else "")
    return f"the key {column!r} is empty" if value == "" else f"the key {column!r} is neither text nor a number"
