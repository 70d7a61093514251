"""What a record's and a request's values are, told to the type checker once and not in an ignore at every `isinstance`."""

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard

Data: TypeAlias = Mapping[str, Any]
"""A record's columns."""


def is_map(value: Any) -> TypeGuard[dict[str, Any]]:
    """Tells whether it is a JSON object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tells whether it is a JSON array."""
    return isinstance(value, list)
