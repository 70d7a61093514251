"""Money as integers of nano-dollars: sums stay exact, and SQLite's integers hold nine billion dollars of them."""

from typing import TypeAlias

import msgspec

Nano: TypeAlias = int

DOLLAR: Nano = 1_000_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """List price of one model in dollars per million tokens, before the batch discount."""

    input: float
    output: float
    write_5m: float
    write_1h: float
    read: float
    above: int | None = None
    """Prompts of more tokens than this are billed wholly by `long`."""
    long: "Price | None" = None


def dollars(amount: Nano) -> str:
    """Prints an amount as people read it: cents where they matter, more digits where they don't."""
    value = amount / DOLLAR
    return (
        f"${value:,.2f}"
        if abs(value) >= 1 or amount == 0
        else f"${value:.4f}"
        if abs(value) >= 0.001
        else f"${value:.6f}"
    )
