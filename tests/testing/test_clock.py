"""The clock others' tests stand on must itself be beyond doubt."""

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from batchflow.testing.clock import ManualClock

DAY = 86_400.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def nap(clock: ManualClock, seconds: float, name: str, diary: list[tuple[str, float]]) -> None:
    await clock.sleep(seconds)
    diary.append((name, clock.boot()))


def test_time_stands_still_until_it_is_moved(clock):
    before = clock.now(), clock.boot()
    clock.advance(2.5)
    assert (clock.now() - before[0], clock.boot() - before[1]) == (2.5, 2.5)


def test_time_does_not_run_backwards(clock):
    with pytest.raises(ValueError, match="shift_wall"):
        clock.advance(-1)


async def test_sleepers_wake_by_deadline_and_equals_as_they_came(clock):
    diary: list[tuple[str, float]] = []
    async with anyio.create_task_group() as group:
        for name, seconds in (("late", 3.0), ("first", 1.0), ("second", 1.0)):
            group.start_soon(nap, clock, seconds, name, diary)
        await clock.settle()
        clock.advance(5)
    assert [name for name, _ in diary] == ["first", "second", "late"]


async def test_nobody_wakes_early(clock):
    diary: list[tuple[str, float]] = []
    async with anyio.create_task_group() as group:
        group.start_soon(nap, clock, 10.0, "sleeper", diary)
        await clock.settle()
        clock.advance(9.999)
        await clock.settle()
        assert (diary, clock.sleepers) == ([], 1)
        clock.advance(0.001)
    assert len(diary) == 1


async def test_running_for_a_while_wakes_a_loop_at_every_turn(clock):
    seen: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(0.1)
            seen.append(clock.boot())

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        start = clock.boot()
        await clock.run_for(1.05)
        group.cancel_scope.cancel()
    assert len(seen) == 10
    assert seen == sorted(set(seen))
    assert clock.boot() == start + 1.05


async def test_a_cancelled_sleeper_is_forgotten(clock):
    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep, 5)
        await clock.settle()
        group.cancel_scope.cancel()
    assert clock.sleepers == 0


async def test_setting_the_wall_clock_shortens_nobodys_sleep(clock):
    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep, 5)
        await clock.settle()
        clock.shift_wall(DAY)
        await clock.settle()
        assert clock.sleepers == 1
        assert clock.now() - clock.boot() == ManualClock().now() - ManualClock().boot() + DAY
        clock.advance(5)


async def test_a_sleep_of_nothing_lets_the_others_run(clock):
    async with anyio.create_task_group() as group:
        ran = anyio.Event()
        group.start_soon(_set, ran)
        await clock.sleep(0)
        await clock.sleep(-1)
        assert ran.is_set()


async def _set(event: anyio.Event) -> None:
    event.set()


async def test_a_day_passes_by_itself_while_everybody_waits(clock):
    async with clock.autojump():
        for _ in range(24):
            await clock.sleep(DAY / 24)
    assert clock.boot() == ManualClock().boot() + DAY


async def test_time_does_not_jump_over_one_who_works(clock):
    """The jump to the far deadline must wait until the worker has asked for its near one."""
    diary: list[tuple[str, float]] = []

    async def worker() -> None:
        for _ in range(500):
            await anyio.lowlevel.checkpoint()
        await nap(clock, 1.0, "near", diary)

    async with clock.autojump(), anyio.create_task_group() as group:
        group.start_soon(nap, clock, 50.0, "far", diary)
        group.start_soon(worker)
    assert [name for name, _ in diary] == ["near", "far"]


async def test_time_does_not_jump_over_a_thread_at_work(clock):
    started, release = anyio.Event(), anyio.Event()

    def work() -> None:
        anyio.from_thread.run_sync(started.set)
        anyio.from_thread.run(release.wait)

    async with clock.autojump(), anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, work)
        await started.wait()
        group.start_soon(clock.sleep, 10.0)
        await anyio.sleep(0.02)
        assert clock.boot() == ManualClock().boot()
        release.set()
    assert clock.boot() == ManualClock().boot() + 10.0
