"""The price book by itself, and among the others."""

import math

import pytest
from batchflow import Plugins

import your_plugin
from your_plugin.prices import PRICES, OurPrices

RATES = ("input", "output", "write_5m", "write_1h", "read")


@pytest.mark.parametrize("model", PRICES)
def test_a_model_costs_what_the_contract_says(model):
    assert OurPrices().price(model) == PRICES[model]


@pytest.mark.parametrize("model", PRICES)
def test_the_dated_name_that_answers_have_costs_the_same(model):
    assert OurPrices().price(f"{model}-20260930") == PRICES[model]


@pytest.mark.parametrize("model", ["", "claude", "claude-private-10", "claude-private-1-2026", "Claude-Private-1"])
def test_what_it_does_not_know_it_passes_on(model):
    assert OurPrices().price(model) is None


@pytest.mark.parametrize("model", PRICES)
@pytest.mark.parametrize("rate", RATES)
def test_a_rate_is_an_amount_of_money(model, rate):
    price = PRICES[model]
    for band in (price, price.long) if price.long else (price,):
        amount = getattr(band, rate)
        assert math.isfinite(amount)
        assert amount >= 0


@pytest.mark.parametrize("model", PRICES)
def test_what_is_read_from_the_cache_is_not_dearer_than_what_is_new(model):
    price = PRICES[model]
    assert price.read <= price.input <= price.write_5m <= price.write_1h


@pytest.mark.parametrize("model", PRICES)
def test_a_long_prompt_has_a_price_of_its_own_only_above_some_length(model):
    price = PRICES[model]
    assert (price.above is None) == (price.long is None)


def test_it_is_asked_before_the_list_that_batchflow_has():
    ours, *others = [book() for book in Plugins([your_plugin], entry_points=False).prices()]
    assert isinstance(ours, OurPrices)
    assert any(book.price("claude-haiku-4-5") for book in others)
