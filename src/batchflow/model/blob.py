"""The name of an immutable object."""

import re

import msgspec

_NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")


class Blob(msgspec.Struct, frozen=True):
    """One object in a blob store. `checksum` covers the stored (compressed) bytes."""

    name: str
    size: int
    checksum: str


def is_name(name: str) -> bool:
    """Tells whether an object may be called that."""
    return _NAME.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """Gives a good name back; one that could lead out of the store, or hide in it, is a mistake of the caller's."""
    if not is_name(name):
        raise ValueError(
            f"{name!r} cannot name an object: relative paths of [a-z0-9._/-], no part beginning with a dot"
        )
    return name
