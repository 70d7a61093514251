"""Processing times and success rates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.model.state import COUNTERS, Batch
from batchflow.reports.ledger import lasted, success_rate, times


def batch(**fields):
    return Batch(id="b", run="r", count=1, bytes=1, **fields)


def test_a_batch_lasts_from_its_sending_to_its_end():
    assert lasted(batch(submitted_at=10.0, ended_at=25.0)) == 15.0
    assert lasted(batch(submitted_at=10.0)) is None
    assert lasted(batch()) is None


def test_a_server_whose_clock_is_behind_takes_no_negative_time():
    assert lasted(batch(submitted_at=10.0, ended_at=9.0)) == 0.0


def test_times_of_one_batch_are_its_own():
    found = times([60.0])
    assert (found.batches, found.p50, found.p95) == (1, 60.0, 60.0)


def test_times_of_no_batch_are_none():
    assert times([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_times_lie_within_what_was_measured(durations):
    found = times(durations)
    low, high = min(durations), max(durations)
    slack = 1e-9 * max(1.0, high)
    assert low - slack <= found.p50 <= found.p95 + slack <= high + 2 * slack


def test_the_success_rate_counts_what_has_come_to_an_end():
    books = dict.fromkeys(COUNTERS, 0)
    assert success_rate(books) is None
    counted = books | {"delivered": 6, "collected": 3, "dead": 1, "waiting": 50}
    assert success_rate(counted) == pytest.approx(0.9)
