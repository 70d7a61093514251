"""Ids sort in the order they were made in: what is looked for after one, or as the newest, must not be passed over."""

from types import SimpleNamespace

import pytest
from schedules import Schedule
from virtual import no_threads

from batchflow.engine import ids
from batchflow.engine.ids import Ids


@pytest.fixture
def wall(monkeypatch):
    """Rules the wall clock that ids are made from."""
    clock = SimpleNamespace(seconds=1_800_000_000)
    monkeypatch.setattr(ids, "time", SimpleNamespace(time_ns=lambda: clock.seconds * 10**9))
    return clock


def test_ids_sort_though_the_clock_stands_still_or_is_set_back(wall):
    fresh = Ids()
    made = [fresh() for _ in range(500)]
    wall.seconds -= 3600
    made += [fresh() for _ in range(500)]
    wall.seconds += 7200
    made.append(fresh())
    assert made == sorted(set(made))
    assert all(len(id) == 32 for id in made)
    assert made[-1] > f"{(1_800_003_600_000 << 80):032x}"


def test_ids_go_on_after_those_of_an_earlier_process(wall):
    before = Ids()()
    wall.seconds -= 86_400
    assert Ids(before)() > before


async def test_the_newest_run_is_the_last_one_though_the_clock_was_set_back(bench, wall):
    bench.simulate()
    first = await bench.run(bench.job(4))
    wall.seconds -= 86_400
    second = await bench.run(bench.job(4), new=True)
    assert second.run.id > first.run.id
    async with bench.flow() as flow:
        assert (await flow.last(bench.job(4))).id == second.run.id


@pytest.mark.parametrize("first", range(3, 7))
@pytest.mark.parametrize("second", [2, 3, 4])
def test_a_key_is_known_again_though_the_clock_was_set_back_before_its_batch_was_drafted(tmp_path, first, second):
    """Each key comes twice. Two processes are killed at their commits, and the clock is set back between them."""
    with no_threads():
        schedule = Schedule(tmp_path, seed=1, rows=12, most=4, flying=1, words=[])
        for commit in (first, second):
            schedule.die("after a commit", commit)
            schedule.go(10.0)
            schedule.wall(-30.0)
        schedule.finish()
        schedule.close()
