"""Texts that people write for numbers: durations, sizes, money. One module reads them, and says how to write them."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

import msgspec

from batchflow.model.money import DOLLAR

_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


class Quantity(msgspec.Struct, frozen=True):
    """A way to write numbers: its words for units, and how an example looks."""

    units: Mapping[str, int | Decimal]
    teach: str

    def read(self, value: object) -> Decimal:
        """Read a number, or a number with a unit; `ValueError` says how to write it."""
        match = _NUMBER.fullmatch(_text(value))
        factor = self.units.get(match[2]) if match else None
        if match is None or factor is None:
            raise ValueError(self.teach)
        return Decimal(match[1]) * factor

    @property
    def pattern(self) -> str:
        """A regular expression for editors."""
        names = "|".join(sorted(re.escape(unit) for unit in self.units if unit))
        return rf"^\s*[0-9]+(\.[0-9]+)?\s*({names})?\s*$"


DURATION = Quantity(
    MappingProxyType({"": 1, "ms": Decimal("0.001"), "s": 1, "m": 60, "h": 3600, "d": 86400}),
    "a duration is written like 90, 30s, 10m, 24h or 2d",
)
SIZE = Quantity(
    MappingProxyType(
        {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    ),
    "a size is written like 500000, 500kB, 64MB (decimal) or 64MiB (binary)",
)
MONEY = Quantity(MappingProxyType({"": 1}), "money is written in dollars, like 20 or 20.50")


def seconds(value: object) -> float:
    """Read a duration."""
    return float(DURATION.read(value))


def octets(value: object) -> int:
    """Read a size in bytes."""
    read = SIZE.read(value)
    if read != int(read):
        raise ValueError(SIZE.teach)
    return int(read)


def nano(value: object) -> int:
    """Read an amount of money into nano-dollars, exactly."""
    text = _text(value).strip().removeprefix("$")
    return int(MONEY.read(text) * DOLLAR)


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    if isinstance(value, str):
        return value
    try:
        return format(Decimal(repr(value)), "f")
    except InvalidOperation:
        return ""
