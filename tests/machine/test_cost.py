"""Costs, each computed by hand from the price list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.builtin.anthropic.prices import anthropic_prices
from batchflow.machine.cost import cost, costs
from batchflow.model.money import DOLLAR, Price
from batchflow.model.result import CacheCreation, ServerTools, Usage

MILLION = 1_000_000
HAIKU = Price(input=1, output=5, write_5m=1.25, write_1h=2, read=0.10)
ODD = Price(input=0.0375, output=0.101, write_5m=1.25, write_1h=2, read=0.10)
"""Half of what a token costs here is no whole number of nano-dollars."""


def price(model):
    found = anthropic_prices().price(model)
    assert found is not None
    return found


def usage(input=0, output=0, **more):
    return Usage(input_tokens=input, output_tokens=output, **more)


def test_a_batch_pays_half_of_list():
    assert cost(HAIKU, usage(MILLION, MILLION), batch=True) == (3 * DOLLAR, 6 * DOLLAR)
    assert cost(HAIKU, usage(MILLION, MILLION), batch=False) == (6 * DOLLAR, 6 * DOLLAR)


def test_a_small_row_is_exact_to_the_nano_dollar():
    # 16 * 1000 + 5 * 5000 nano-dollars
    assert cost(HAIKU, usage(16, 5), batch=True) == (20_500, 41_000)


@pytest.mark.parametrize(
    ("split", "nano"),
    [
        (None, 1_250 * 1000),
        (CacheCreation(1000, 0), 1_250 * 1000),
        (CacheCreation(0, 1000), 2_000 * 1000),
        (CacheCreation(400, 600), 400 * 1_250 + 600 * 2_000),
        (CacheCreation(None, 600), 400 * 1_250 + 600 * 2_000),
        (CacheCreation(0, 0), 1_250 * 1000),
    ],
)
def test_cache_writes_are_priced_by_how_long_they_stay(split, nano):
    told = usage(cache_creation_input_tokens=1000, cache_creation=split)
    assert cost(HAIKU, told, batch=False) == (nano, nano)


def test_a_split_without_its_sum_is_priced_all_the_same():
    assert cost(HAIKU, usage(cache_creation=CacheCreation(400, 600)), batch=False)[0] == 400 * 1_250 + 600 * 2_000


@pytest.mark.parametrize(
    ("model", "dollars"), [("claude-haiku-4-5", 0.10), ("claude-opus-5-5", 0.20), ("claude-fable-5-1", 0.25)]
)
def test_cache_reads_have_their_own_price(model, dollars):
    assert cost(price(model), usage(cache_read_input_tokens=MILLION), batch=True)[1] == round(dollars * DOLLAR)


def test_the_american_surcharge_stacks_with_the_discount():
    assert cost(HAIKU, usage(MILLION, inference_geo="us"), batch=True) == (550_000_000, 1_100_000_000)
    assert cost(HAIKU, usage(MILLION, inference_geo="not_available"), batch=True) == (500_000_000, DOLLAR)


def test_searches_cost_a_cent_each_and_are_not_discounted():
    told = usage(16, 5, server_tool_use=ServerTools(web_search_requests=3), inference_geo="us")
    assert cost(HAIKU, told, batch=True) == (round(20_500 * 1.1) + 30_000_000, round(41_000 * 1.1) + 30_000_000)


@pytest.mark.parametrize(
    ("told", "nano"),
    [
        (usage(100_000, 10), 100_000 * 100 + 10 * 500),
        (usage(100_001, 10), 100_001 * 500 + 10 * 2_500),
        (usage(60_000, 10, cache_read_input_tokens=40_001), 60_000 * 500 + 40_001 * 50 + 10 * 2_500),
        (usage(60_000, 10, cache_creation_input_tokens=40_001), 60_000 * 500 + 40_001 * 625 + 10 * 2_500),
        (usage(60_000, 50_000), 60_000 * 100 + 50_000 * 500),
    ],
)
def test_a_long_prompt_moves_the_whole_request_into_the_higher_band(told, nano):
    assert cost(price("claude-haiku-5-5"), told, batch=False)[1] == nano


def test_no_tokens_cost_nothing():
    empty = Usage(None, None, None, None, None, ServerTools(None), None)
    assert cost(HAIKU, empty, batch=True) == (0, 0)


@given(st.builds(Usage, *[st.none() | st.integers(0, 2 * MILLION)] * 4))
def test_what_is_paid_is_half_of_list_to_the_nano_dollar(told):
    paid, listed = cost(HAIKU, told, batch=True)
    assert isinstance(paid, int)
    assert abs(2 * paid - listed) <= 1


COUNTS = st.none() | st.integers(min_value=0, max_value=300_000)
PLAIN = st.builds(Usage, COUNTS, COUNTS, cache_creation=st.none() | st.just(CacheCreation(0, None)))
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cache_read_input_tokens=COUNTS,
    cache_creation_input_tokens=COUNTS,
    cache_creation=st.none() | st.builds(CacheCreation, COUNTS, COUNTS),
    server_tool_use=st.none() | st.builds(ServerTools, COUNTS),
    inference_geo=st.sampled_from([None, "global", "us"]),
)


@given(
    st.lists(PLAIN) | st.lists(USAGES, max_size=4),
    st.sampled_from([HAIKU, price("claude-sonnet-4-5"), ODD]),
    st.booleans(),
)
def test_many_rows_cost_what_each_of_them_costs(usages, price, batch):
    assert costs(price, usages, batch=batch) == [cost(price, usage, batch=batch) for usage in usages]
