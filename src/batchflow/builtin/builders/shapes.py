"""What a JSON value is, told to the type checker once instead of in an ignore at every `isinstance`."""

from typing import Any, TypeGuard


def is_map(value: Any) -> TypeGuard[dict[str, Any]]:
    """Tells whether it is a JSON object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tells whether it is a JSON array."""
    return isinstance(value, list)
