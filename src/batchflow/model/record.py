"""What flows from a source to a builder."""

from typing import Any, TypeAlias

import msgspec

Cursor: TypeAlias = dict[str, Any]
"""Where a source stands: any JSON object. Only the source that made it can read it."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One thing to ask about. `origin` is where a person finds it again: "claims.csv:17"."""

    key: str
    data: dict[str, Any]
    origin: str


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """One place in a source that holds no usable record; it becomes a dead letter, never a crash."""

    origin: str
    reason: str
    key: str = ""
    excerpt: str = ""


class Page(msgspec.Struct, frozen=True):
    """Some items in source order, and the cursor from which the *next* page is read.

    A page is a unit of work, not of meaning: aim at about 256 KiB or 500 records, so that no step awaits per record.
    """

    items: list[Record | Unreadable]
    cursor: Cursor


class Idle(msgspec.Struct, frozen=True):
    """Nothing to read now; ask again after `wake` seconds. Sources that end simply stop iterating."""

    wake: float


class Skip(msgspec.Struct, frozen=True):
    """A builder's word that this record needs no request."""

    reason: str


class Position(msgspec.Struct, frozen=True):
    """The committed place in a source: read from `cursor`, then pass over `skip` items.

    Packs close in the middle of pages, and a page boundary is no promise; the number of items since a cursor is.
    """

    cursor: Cursor | None = None
    skip: int = 0
