"""The harvest: every line is counted once, a success wins, and the money is that of the answers that were billed."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.anthropic.prices import anthropic_prices
from batchflow.engine.pricing import PriceBooks
from batchflow.machine.cost import cost
from batchflow.model.result import Answer, CacheCreation, ServerTools, Usage
from batchflow.model.words import BILLED, Word
from batchflow.stages.harvest import CODES, Harvest
from batchflow.stages.objects import NO_ROW

MODEL = "claude-haiku-4-5"
TOKEN = "ours"


def answer(row, word=Word.OK, *, token=TOKEN, model=MODEL, **usage):
    billed = word in BILLED
    spent = Usage(**{"input_tokens": 100, "output_tokens": 10} | usage) if billed else Usage()
    return Answer(f"{token}-{row}", word, model if billed else "", usage=spent)


@pytest.fixture
def harvest(prices):
    return Harvest(4, {TOKEN, "older"}, prices)


def taken(harvest, *parts):
    orders = []
    for part in parts:
        order = array("I")
        harvest.take(part, order, orders)
        orders.append(order)
    return [list(order) for order in orders]


def words(harvest):
    return [next((word for word, known in CODES.items() if known == code), None) for code in harvest.words]


def test_lines_get_their_rows_in_any_order(harvest):
    assert taken(harvest, [answer(2), answer(0), answer(3), answer(1)]) == [[2, 0, 3, 1]]
    assert harvest.missing == 0
    assert harvest.money.rows == 4
    assert harvest.rows_not_ok() == []


def test_rows_without_a_line_are_missing_and_want_a_verdict(harvest):
    taken(harvest, [answer(1), answer(2, Word.EXPIRED)])
    assert harvest.missing == 2
    assert harvest.rows_not_ok() == [0, 2, 3]
    assert harvest.money.rows == 1


def test_a_line_that_cannot_be_read_is_counted_and_takes_no_row(harvest):
    assert taken(harvest, [Answer("", None, error="broken"), answer(0)]) == [[NO_ROW, 0]]
    assert (harvest.malformed, harvest.foreign) == (1, 0)


@pytest.mark.parametrize("stray", [answer(0, token="theirs"), answer(4), Answer("no address", Word.OK)])
def test_a_foreign_line_takes_no_row_and_costs_nothing(harvest, stray):
    assert taken(harvest, [stray]) == [[NO_ROW]]
    assert harvest.foreign == 1
    assert harvest.money.paid == 0
    assert harvest.stranger


def test_a_success_wins_over_an_earlier_failure_of_its_row(harvest):
    assert taken(harvest, [answer(0, Word.OVERLOADED), answer(0)]) == [[NO_ROW, 0]]
    assert words(harvest)[0] is Word.OK
    assert harvest.money.rows == 1


def test_a_success_in_a_twin_wins_over_a_failure_in_the_first(harvest):
    assert taken(harvest, [answer(0, Word.EXPIRED), answer(1)], [answer(0)]) == [[NO_ROW, 1], [0]]
    assert words(harvest)[:2] == [Word.OK, Word.OK]


def test_the_first_of_two_successes_stays_and_the_same_file_bills_it_once(harvest):
    assert taken(harvest, [answer(0), answer(0)]) == [[0, NO_ROW]]
    assert (harvest.repeated, harvest.money.rows, harvest.extra.rows) == (1, 1, 0)


def test_a_second_success_from_a_twin_was_paid_for_and_is_booked_apart(harvest):
    assert taken(harvest, [answer(0)], [answer(0, token="older")]) == [[0], [NO_ROW]]
    assert (harvest.money.rows, harvest.extra.rows) == (1, 1)
    assert harvest.extra.paid == harvest.money.paid > 0


def test_a_failure_after_a_success_changes_nothing(harvest):
    assert taken(harvest, [answer(0), answer(0, Word.SERVER_ERROR)]) == [[0, NO_ROW]]
    assert words(harvest)[0] is Word.OK
    assert harvest.extra.paid == 0


def test_a_model_without_a_price_is_named_and_its_tokens_are_counted(harvest):
    taken(harvest, [answer(0, model="brand-new"), answer(1)])
    assert harvest.money.unpriced == {"brand-new"}
    assert (harvest.money.rows, harvest.money.input_tokens) == (2, 200)
    assert harvest.money.paid == cost(anthropic_prices().price(MODEL), answer(1).usage, batch=True)[0]


def test_an_answer_of_no_known_price_is_booked_as_the_most_that_was_reserved(prices):
    harvest = Harvest(4, {TOKEN}, prices, reserved=4000)
    taken(harvest, [answer(0, model="brand-new"), answer(1, model="")])
    assert (harvest.money.paid, harvest.money.listed) == (2000, 4000)


TOKENS = st.none() | st.integers(min_value=0, max_value=300_000)
USAGES = st.builds(
    Usage,
    input_tokens=TOKENS,
    output_tokens=TOKENS,
    cache_read_input_tokens=st.just(0) | TOKENS,
    cache_creation_input_tokens=st.just(0) | TOKENS,
    cache_creation=st.none() | st.builds(CacheCreation, st.just(0) | TOKENS, st.just(0) | TOKENS),
    server_tool_use=st.none() | st.builds(ServerTools, st.integers(min_value=0, max_value=3)),
    inference_geo=st.sampled_from([None, "global", "us"]),
)
MODELS = sorted(anthropic_prices()._prices)


@settings(max_examples=150)
@given(st.lists(st.tuples(USAGES, st.sampled_from(MODELS)), max_size=12))
def test_pricing_rows_together_gives_what_each_of_them_costs(spent):
    book = anthropic_prices()
    harvest = Harvest(len(spent), {TOKEN}, PriceBooks([book]))
    answers = [Answer(f"{TOKEN}-{n}", Word.OK, model, usage=usage) for n, (usage, model) in enumerate(spent)]
    harvest.take(answers, array("I"))
    each = [cost(book.price(model), usage, batch=True) for usage, model in spent]
    # Rounding a sum is not summing what was rounded: half a nano-dollar a row is all they may differ.
    assert abs(harvest.money.paid - sum(paid for paid, _ in each)) <= len(spent)
    assert abs(harvest.money.listed - sum(listed for _, listed in each)) <= len(spent)


ADDRESSES = st.sampled_from(
    [f"{TOKEN}-{n}" for n in range(6)]
    + [f"{TOKEN}-{odd}" for odd in ("", "01", "+1", "1_0", "\u0661", "-1", "9" * 5000)]
    + ["older-1", "theirs-0", "x", ""]
)
LINES = st.lists(
    st.builds(Answer, ADDRESSES, st.sampled_from([Word.OK, Word.OK, Word.OK, Word.EXPIRED, None])), max_size=5
)


@settings(max_examples=300)
@given(LINES, LINES)
def test_good_answers_taken_at_once_are_booked_as_one_by_one(first, second):
    at_once, one_by_one = (Harvest(4, {TOKEN}, PriceBooks([anthropic_prices()])) for _ in range(2))
    unreadable = Answer("", None)
    orders = taken(at_once, first, second)
    assert [[NO_ROW, *order] for order in orders] == taken(one_by_one, [unreadable, *first], [unreadable, *second])
    assert (at_once.words, at_once.money, at_once.extra) == (one_by_one.words, one_by_one.money, one_by_one.extra)
    assert (at_once.foreign, at_once.repeated) == (one_by_one.foreign, one_by_one.repeated)
    assert at_once.malformed == one_by_one.malformed - 2
