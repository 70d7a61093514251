"""Durations, sizes and money as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.extend.quantities import nano, octets, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (90, 90),
        (0.5, 0.5),
        ("90", 90),
        ("30s", 30),
        ("10m", 600),
        ("24h", 86400),
        ("2d", 172800),
        ("250ms", 0.25),
        (" 1.5 h ", 5400),
    ],
)
def test_a_duration_is_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (500, 500),
        ("500kB", 500_000),
        ("64MB", 64_000_000),
        ("64MiB", 67_108_864),
        ("1.5GB", 1_500_000_000),
        ("2 KiB", 2048),
    ],
)
def test_a_size_is_read(text, value):
    assert octets(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [(20, 20_000_000_000), (20.10, 20_100_000_000), ("20.50", 20_500_000_000), ("$5", 5_000_000_000), (1e-9, 1)],
)
def test_money_is_read_exactly(text, value):
    assert nano(text) == value


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_no_cent_is_lost(dollars, cents):
    assert nano(float(f"{dollars}.{cents:02}")) == (dollars * 100 + cents) * 10_000_000


@pytest.mark.parametrize("read", [seconds, octets, nano])
@pytest.mark.parametrize("text", ["", "much", "-1", -1, True, None, [1], float("nan"), float("inf"), "1 2", "1e3x"])
def test_what_is_no_quantity_is_answered_with_how_to_write_it(read, text):
    with pytest.raises(ValueError, match="is written") as raised:
        read(text)
    assert "like" in str(raised.value)


@pytest.mark.parametrize("text", ["64mb", "64Mb", "0.5"])
def test_a_size_with_a_doubtful_unit_is_refused(text):
    with pytest.raises(ValueError, match=r"64MB \(decimal\) or 64MiB \(binary\)"):
        octets(text)
