"""Polling: quick at first, then slower, and never asleep because a server said so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.machine.cadence import next_poll


@pytest.mark.parametrize(("age", "delay"), [(0, 2), (20, 2), (100, 10), (600, 60), (86_400, 60), (-5, 2)])
def test_a_batch_is_looked_at_more_rarely_as_it_ages(age, delay):
    assert next_poll(age) == delay


@pytest.mark.parametrize(
    ("age", "hint", "delay"), [(0, 10, 10), (600, 10, 60), (0, 250, 250), (0, 90_000, 300), (0, 0, 2)]
)
def test_a_hint_is_honoured_as_far_as_five_minutes_and_never_hurries(age, hint, delay):
    assert next_poll(age, hint) == delay


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_it_never_gets_quicker_with_age(age, more):
    assert next_poll(age) <= next_poll(age + more) <= 60
