"""The price list."""

import pytest

from batchflow.builtin.anthropic.prices import anthropic_prices
from batchflow.model.money import Price


@pytest.mark.parametrize(
    ("model", "input", "output", "write_5m", "write_1h", "read"),
    [
        ("claude-fable-5-2", 8, 40, 10, 16, 0.20),
        ("claude-fable-5-1", 10, 50, 12.50, 20, 0.25),
        ("claude-mythos-5-1", 10, 50, 12.50, 20, 0.25),
        ("claude-fable-5", 10, 50, 12.50, 20, 1.00),
        ("claude-mythos-5", 10, 50, 12.50, 20, 1.00),
        ("claude-opus-5-5", 4, 20, 5, 8, 0.20),
        ("claude-opus-5", 5, 25, 6.25, 10, 0.50),
        ("claude-opus-4-8", 5, 25, 6.25, 10, 0.50),
        ("claude-opus-4-5-20251101", 5, 25, 6.25, 10, 0.50),
        ("claude-sonnet-5-5", 2, 10, 2.50, 4, 0.10),
        ("claude-sonnet-5", 2, 10, 2.50, 4, 0.20),
        ("claude-sonnet-4-6", 3, 15, 3.75, 6, 0.30),
        ("claude-sonnet-4-5-20250929", 3, 15, 3.75, 6, 0.30),
        ("claude-haiku-4-5", 1, 5, 1.25, 2, 0.10),
        ("claude-haiku-4-5-20251001", 1, 5, 1.25, 2, 0.10),
    ],
)
def test_a_price_is_found_by_alias_and_by_snapshot(model, input, output, write_5m, write_1h, read):
    expected = Price(input=input, output=output, write_5m=write_5m, write_1h=write_1h, read=read)
    assert anthropic_prices().price(model) == expected


def test_haiku_5_5_has_a_band_for_long_prompts():
    price = anthropic_prices().price("claude-haiku-5-5")
    assert (price.input, price.output, price.read, price.above) == (0.10, 0.50, 0.01, 100_000)
    assert (price.long.input, price.long.output, price.long.read) == (0.50, 2.50, 0.05)


@pytest.mark.parametrize("model", ["", "claude", "claude-haiku-4", "claude-haiku-4-5-2025", "gpt", "claude-opus-4-1"])
def test_nobody_guesses_a_price(model):
    assert anthropic_prices().price(model) is None
