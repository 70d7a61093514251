"""The small pure rules: what a second run means, sets of rows, sizes of packs, waits, addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.machine.address import custom_id, split_id
from batchflow.machine.backoff import FIRST, MOST, backoff
from batchflow.machine.begin import AlreadyDone, Fresh, LeftPaused, PickUp, Refuse, begin, go_on
from batchflow.machine.bitmap import bitmap, rows_of
from batchflow.machine.packing import JITTER, target_rows
from batchflow.machine.run import OPEN
from batchflow.model.record import Position
from batchflow.model.state import Run, RunState

ENDED = sorted(set(RunState) - OPEN)


def last(state, **fields):
    """A run that has read something."""
    begun = {"id": "r", "job": "j", "state": state, "config": "c", "fingerprint": "f", "position": Position({"at": 9})}
    return Run(**begun | fields)


def verdict(run, *, config="c", fingerprint="f", new=False, repeat=False):
    return begin(run, config=config, fingerprint=fingerprint, new=new, repeat=repeat)


def test_the_first_run_is_fresh():
    assert verdict(None) == Fresh()


@pytest.mark.parametrize("state", sorted(OPEN))
def test_an_unfinished_run_is_picked_up(state):
    assert verdict(last(state)) == PickUp(last(state))


@pytest.mark.parametrize("state", sorted(OPEN))
def test_an_unfinished_run_of_a_changed_job_is_refused(state):
    assert verdict(last(state), config="other") == Refuse(last(state), "job")


def test_an_unfinished_run_of_an_edited_source_is_refused_unless_all_was_read():
    reading, done = last(RunState.PAUSED), last(RunState.PAUSED, read_all=True)
    assert verdict(reading, fingerprint="other") == Refuse(reading, "source")
    assert verdict(done, fingerprint="other") == PickUp(done)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_a_run_that_read_nothing_goes_on_whatever_was_changed(state):
    untouched = last(state, position=Position())
    assert verdict(untouched, config="other", fingerprint="other") == PickUp(untouched)


def test_a_run_that_an_operator_paused_waits_for_resume():
    paused = last(RunState.PAUSED, by_operator=True)
    assert verdict(paused) == LeftPaused(paused)
    assert verdict(paused, config="other") == LeftPaused(paused)
    assert verdict(paused, new=True) == Fresh()
    assert go_on(paused, config="c", fingerprint="f") == PickUp(paused)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_new_means_new_even_beside_an_unfinished_run(state):
    assert verdict(last(state), new=True) == Fresh()


@pytest.mark.parametrize("state", ENDED)
def test_a_finished_run_is_not_paid_for_again_unasked(state):
    assert verdict(last(state)) == AlreadyDone(last(state), unsure=False)
    assert verdict(last(state, fingerprint=None), fingerprint=None) == AlreadyDone(
        last(state, fingerprint=None), unsure=True
    )


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize("change", [{"config": "x"}, {"fingerprint": "x"}, {"new": True}, {"repeat": True}])
def test_a_finished_run_of_something_else_is_no_reason_to_stay(state, change):
    assert verdict(last(state), **change) == Fresh()


@given(st.sets(st.integers(0, 999)))
def test_a_set_of_rows_comes_back_from_its_bitmap_in_order(rows):
    bits = bitmap(rows, 1000)
    assert list(rows_of(bits)) == sorted(rows)
    assert not bits.endswith(b"\0")


@given(st.integers(1, 100_000), st.floats(0, 1, exclude_max=True), st.sets(st.integers(1, 100_000), max_size=50))
def test_a_pack_has_a_size_of_its_own_where_there_is_one(most, draw, taken):
    rows = target_rows(most, draw, taken)
    room = min(JITTER, max(1, most // 4))
    assert max(1, most - room) <= rows <= most
    if rows in taken:
        assert set(range(most - room + 1, most + 1)) <= taken


@given(st.integers(0, 10_000))
def test_waits_double_up_to_a_minute(tries):
    assert FIRST <= backoff(tries) <= backoff(tries + 1) <= MOST
    assert backoff(0) == FIRST


@given(st.text(alphabet="abcdefghijkmnpqrstuvwxyz23456789", min_size=1, max_size=16), st.integers(0, 99_999))
def test_an_address_comes_apart_again(token, row):
    assert split_id(custom_id(token, row)) == (token, row)


@given(st.text(max_size=30))
def test_any_text_can_be_looked_at_as_an_address(text):
    token, row = split_id(text)
    assert row >= -1
    assert token == text or row >= 0


@pytest.mark.parametrize("address", ["", "x", "x-", "-1", "x-1a", "x-\u0661", "x--1", "x-1 ", "x-" + "9" * 5000])
def test_what_is_no_address_names_no_row(address):
    token, row = split_id(address)
    assert row == -1 or (token, row) in {("x-", 1), ("", 1)}
