"""Annotations that a factory's signature carries: help texts, durations, sizes, money, secrets.

A signature is a component's whole configuration, so these markers are what `describe`, the reference pages and the
editor's schema are made of. Reading a text like "10m" into a number is config's work; what the number means stands here.
"""

from typing import Annotated, TypeAlias

import msgspec


class Doc(msgspec.Struct, frozen=True):
    """The help text of one parameter."""

    text: str


class Unit(msgspec.Struct, frozen=True):
    """The unit a number is written in: duration, size or money."""

    name: str


Seconds: TypeAlias = Annotated[float, Unit("duration")]
"""A duration: `90`, `30s`, `10m`, `24h` in a job file."""

Size: TypeAlias = Annotated[int, Unit("size")]
"""A number of bytes: `64MB` (decimal) or `64MiB` in a job file."""

Dollars: TypeAlias = Annotated[int, Unit("money")]
"""An amount of money in nano-dollars: written in dollars (`20.00`) in a job file."""


class Given(msgspec.Struct, frozen=True):
    """Supplied by the app and not by the job file: `base: Annotated[Path, Given()]`. Found by the parameter's name."""


class Mendable(msgspec.Struct, frozen=True):
    """May be changed in the middle of a run: it says how something is reached, not what is asked or where answers go."""


class Folder(msgspec.Struct, frozen=True):
    """Marks a path at which a folder is meant to be, where a sink's `path` otherwise is a file's: `path: Annotated[Path, Folder()]`."""


SHORTEST_SECRET = 4
"""Letters from which a value is starred wherever it is seen: fewer are in every sentence, and are no key."""


class Secret:
    """A value that must not be printed, logged or stored. `reveal()` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the value to whoever must send it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__
