"""What flows from a source to a builder."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

Cursor: TypeAlias = dict[str, Any]
"""Where a source stands: any JSON object. Only the source that made it can read it."""


class Columns(Mapping[str, Any]):
    """A JSON object whose values are decoded when they are asked for, since most are copied as they are or not looked at.

    `raw` has them as they were read: well-formed JSON in valid UTF-8. A number that Python cannot hold comes as its text.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: dict[str, msgspec.Raw]) -> None:
        self.raw = raw

    def __getitem__(self, column: str) -> Any:
        value = self.raw[column]
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return bytes(value).decode()

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __repr__(self) -> str:
        return repr(dict(self))


class Record(msgspec.Struct, frozen=True, gc=False):
    """One thing to ask about. `origin` is where a person finds it again: "claims.csv:17"."""

    key: str
    data: Mapping[str, Any]
    origin: str


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """One place in a source that holds no usable record; it becomes a dead letter, never a crash."""

    origin: str
    reason: str
    key: str = ""
    excerpt: str = ""
    columns: tuple[str, ...] = ()
    """The columns it has, where only its key is wrong: so that `validate` can go on to what reads them."""


class Page(msgspec.Struct, frozen=True):
    """Some items in source order, and the cursor from which the *next* page is read.

    A page is a unit of work, not of meaning: aim at about 256 KiB or 500 records, so that no step awaits per record.
    """

    items: list[Record | Unreadable]
    cursor: Cursor
    behind: Callable[[int], Cursor | None] | None = None
    """Gives the cursor behind the first so many items, where there is one. A source that gives an item no more once it is
    told that it is safe needs that: from the page's beginning, items cannot be counted again."""

    def __post_init__(self) -> None:
        """Refuse a place that no store could keep, where it is made: once committed, nobody could read its run again."""
        if not isinstance(self.cursor, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
            raise TypeError(f"a cursor is an object of JSON (a dict), and this is {self.cursor!r}")
        msgspec.json.encode(self.cursor)


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
