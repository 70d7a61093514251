"""The real clock agrees with the machine's."""

import time

import pytest

from batchflow.engine.clock import SystemClock


def test_now_is_wall_time():
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_boot_time_never_jumps_back():
    clock = SystemClock()
    readings = [clock.boot() for _ in range(100)]
    assert readings == sorted(readings)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_sleeping_takes_at_least_as_long_as_asked():
    clock = SystemClock()
    before = clock.boot()
    await clock.sleep(0.01)
    assert clock.boot() - before >= 0.009
