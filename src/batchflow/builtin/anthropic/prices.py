"""Anthropic's price list: dollars per million tokens, before the batch discount, as of November 2026."""

import re
from collections.abc import Mapping

from batchflow.model.money import Price

_SNAPSHOT = re.compile(r"-\d{8}$")


def anthropic_prices() -> "AnthropicPrices":
    """Anthropic's list prices."""
    return AnthropicPrices(_LIST)


class AnthropicPrices:
    """Knows a model by its alias or by the dated snapshot that answers name."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = prices

    def price(self, model: str) -> Price | None:
        """Finds a price; None for a model that is not on the list."""
        return self._prices.get(model) or self._prices.get(_SNAPSHOT.sub("", model))


def _price(input: float, output: float, write_5m: float, write_1h: float, read: float) -> Price:
    return Price(input=input, output=output, write_5m=write_5m, write_1h=write_1h, read=read)


def _banded(short: Price, *, above: int, long: Price) -> Price:
    return Price(
        input=short.input,
        output=short.output,
        write_5m=short.write_5m,
        write_1h=short.write_1h,
        read=short.read,
        above=above,
        long=long,
    )


_FABLE_5_1 = _price(10, 50, 12.50, 20, 0.25)
_FABLE_5 = _price(10, 50, 12.50, 20, 1.00)
_OPUS_4_5 = _price(5, 25, 6.25, 10, 0.50)
_SONNET_4_5 = _price(3, 15, 3.75, 6, 0.30)

_LIST: Mapping[str, Price] = {
    "claude-fable-5-2": _price(8, 40, 10, 16, 0.20),
    "claude-fable-5-1": _FABLE_5_1,
    "claude-mythos-5-1": _FABLE_5_1,
    "claude-fable-5": _FABLE_5,
    "claude-mythos-5": _FABLE_5,
    "claude-opus-5-5": _price(4, 20, 5, 8, 0.20),
    "claude-opus-5": _OPUS_4_5,
    "claude-opus-4-8": _OPUS_4_5,
    "claude-opus-4-7": _OPUS_4_5,
    "claude-opus-4-6": _OPUS_4_5,
    "claude-opus-4-5": _OPUS_4_5,
    "claude-sonnet-5-5": _price(2, 10, 2.50, 4, 0.10),
    "claude-sonnet-5": _price(2, 10, 2.50, 4, 0.20),
    "claude-sonnet-4-6": _SONNET_4_5,
    "claude-sonnet-4-5": _SONNET_4_5,
    "claude-haiku-5-5": _banded(
        _price(0.10, 0.50, 0.125, 0.20, 0.01), above=100_000, long=_price(0.50, 2.50, 0.625, 1.00, 0.05)
    ),
    "claude-haiku-4-5": _price(1, 5, 1.25, 2, 0.10),
}
