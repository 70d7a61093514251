"""Narrowing for JSON values: a request is foreign data, and every reader here must say what it expects.

Kept apart so that no other module needs a cast.
"""

from typing import Any, cast

import msgspec

Json = Any
Object = dict[str, Any]


def mapping(value: Json) -> Object | None:
    """The value if it is a JSON object."""
    return cast("Object", value) if isinstance(value, dict) else None


def listing(value: Json) -> list[Any]:
    """The value if it is a JSON array, else an empty list."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def objects(value: Json) -> list[Object]:
    """The JSON objects in an array; everything else in it is passed over."""
    return [item for item in map(mapping, listing(value)) if item is not None]


def number(value: Json) -> int | None:
    """The value if it is an integer (a boolean is not)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def canonical(value: Json) -> bytes:
    """One byte string for one JSON value, whatever the order of its keys was."""
    return msgspec.json.encode(value, order="sorted")


def first_user_text(params: Object) -> str:
    """The text of the first user message: what names a request through all its attempts."""
    for message in objects(params.get("messages")):
        if message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


def last_user_text(params: Object) -> str:
    """The text of the last user message: what the answer talks about."""
    for message in reversed(objects(params.get("messages"))):
        if message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


def text_of(content: Json) -> str:
    """The text of a message's content, which is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    texts = [block.get("text") for block in objects(content)]
    return "\n".join(text for text in texts if isinstance(text, str))
