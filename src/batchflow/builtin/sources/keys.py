"""What may be a record's key."""

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


def no_key(column: str, value: Any) -> str:
    """Says why there is no key."""
    if value is None:
        return f"there is no {column!r}, which is the key"
    return f"the key {column!r} is empty" if value == "" else f"the key {column!r} is neither text nor a number"
