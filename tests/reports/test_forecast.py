"""What a plan counts."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from batchflow.reports.forecast import Census, _verdict


@given(st.lists(st.text(max_size=2)))
def test_keys_that_came_before_are_counted_exactly(keys):
    census = Census()
    for key in keys:
        census.add(key)
    assert census.doubles() == sum(n - 1 for n in Counter(keys).values())


def test_the_verdict_on_a_budget():
    assert _verdict(None, 100, 1, priced=True) == "none"
    assert _verdict(100, 100, 1, priced=True) == "fits"
    assert _verdict(100, 150, 3, priced=True) == "may run out"
    assert _verdict(100, 150, 1, priced=True) == "too small"
    assert _verdict(100, 0, 1, priced=False) == "cannot be kept"
