"""The right to drive a run: kept while one is awake, lost by who sleeps too long, and never shared."""

import asyncio
import os

import pytest
from bench import ask, rules
from jumping import LoopClock

from batchflow.builtin.stores.folder import folder
from batchflow.builtin.stores.memory import memory_blobs, memory_state
from batchflow.builtin.stores.words import lease_not_held
from batchflow.engine.lease import RENEW, TTL, DriverLease, LeaseLost, birth
from batchflow.model.change import Holding, Put
from batchflow.model.errors import Locked, StoreUnavailable
from batchflow.model.state import Intent
from batchflow.testing import ManualClock

FAR = 1e12


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    return memory_state(clock=clock)


def lease(store, clock, owner="a", *, host="here", pid=None):
    return DriverLease(store, clock, name="run/r", id=owner, host=host, pid=pid or os.getpid())


async def test_a_lease_that_was_just_taken_is_good(store, clock):
    mine = lease(store, clock)
    await mine.take_over()
    mine.check(FAR)


async def test_one_that_was_never_taken_is_not(store, clock):
    with pytest.raises(LeaseLost):
        lease(store, clock).check(FAR)


async def test_who_slept_past_it_must_not_go_on_sending(store, clock):
    mine = lease(store, clock)
    await mine.take()
    clock.advance(TTL - 1)
    mine.check(FAR)
    clock.advance(2)
    with pytest.raises(LeaseLost, match="slept"):
        mine.check(FAR)


async def test_a_wall_clock_that_is_set_changes_nothing(store, clock):
    mine = lease(store, clock)
    await mine.take()
    clock.shift_wall(-3600)
    clock.advance(TTL + 1)
    with pytest.raises(LeaseLost):
        mine.check(FAR)


async def test_a_calls_deadline_is_looked_at_too(store, clock):
    mine = lease(store, clock)
    await mine.take()
    with pytest.raises(TimeoutError):
        mine.check(clock.boot() - 1)


async def test_it_is_renewed_for_as_long_as_one_is_awake(store, clock):
    import anyio

    mine, lost = lease(store, clock), []
    await mine.take()
    async with anyio.create_task_group() as group:
        group.start_soon(mine.keep, lost.append)
        for _ in range(10):
            await clock.run_for(RENEW)
            mine.check(FAR)
        group.cancel_scope.cancel()
    assert not lost
    assert (await store.holder("run/r")).owner == mine.owner


async def test_another_owner_is_refused_while_it_lasts(store, clock):
    await lease(store, clock, "a").take()
    with pytest.raises(Locked, match=str(os.getpid())):
        await lease(store, clock, "b").take_over()


async def test_a_dead_process_of_this_machine_is_not_waited_for(store, clock):
    await lease(store, clock, "dead", pid=2**22 + 1).take()
    mine = lease(store, clock, "b")
    await mine.take_over()
    assert (await store.holder("run/r")).owner == mine.owner


@pytest.mark.skipif(not birth(os.getpid()), reason="this system does not tell when a process began")
async def test_a_process_that_has_the_number_of_a_dead_one_does_not_pass_for_it(store, clock):
    """A container that is killed and started again: the same host, the same number."""
    await store.lease("run/r", owner="before@1", host="here", pid=os.getpid(), ttl=TTL)
    mine = lease(store, clock, "after")
    await mine.take_over()
    assert (await store.holder("run/r")).owner == mine.owner


async def test_a_dead_process_of_another_machine_is(store, clock):
    await lease(store, clock, "dead", host="there", pid=2**22 + 1).take()
    with pytest.raises(Locked):
        await lease(store, clock, "b").take_over()


async def test_one_that_lapsed_unused_is_taken_up_again(store, clock):
    mine, lost = lease(store, clock), []
    await mine.take()
    clock.advance(10 * TTL)
    assert await mine.renew(lost.append)
    mine.check(FAR)
    assert not lost


@pytest.mark.parametrize("gave_back", [True, False])
async def test_one_that_somebody_else_had_meanwhile_is_lost_for_good(store, clock, gave_back):
    """What this process remembers of the run is not true any more: going on would draft and pay for rows again."""
    mine, other, lost = lease(store, clock, "a"), lease(store, clock, "b"), []
    await mine.take()
    clock.advance(TTL + 1)
    await other.take()
    if gave_back:
        await other.give_back()
    else:
        clock.advance(TTL + 1)
    assert not await mine.renew(lost.append)
    assert isinstance(lost[0], LeaseLost)
    assert await store.holder("run/r") is None


class Busy:
    """A store that cannot be reached for a while."""

    def __init__(self, store):
        self._store = store
        self.busy = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def lease(self, *args, **more):
        if self.busy:
            raise StoreUnavailable("locked by another program")
        return await self._store.lease(*args, **more)


async def test_a_store_that_is_busy_for_a_moment_costs_nothing(store, clock):
    busy = Busy(store)
    mine, lost = lease(busy, clock), []
    await mine.take()
    busy.busy = True
    clock.advance(TTL / 2)
    assert await mine.renew(lost.append)
    busy.busy = False
    assert await mine.renew(lost.append)
    assert not lost


async def test_a_store_that_stays_busy_past_the_lease_is_as_good_as_lost(store, clock):
    busy = Busy(store)
    mine, lost = lease(busy, clock), []
    await mine.take()
    busy.busy = True
    clock.advance(TTL + 1)
    assert not await mine.renew(lost.append)
    assert "locked by another program" in str(lost[0])


class Closing:
    """Objects whose n-th reader closes the lid after its first piece."""

    def __init__(self, blobs, clock, n):
        self._blobs = blobs
        self._clock = clock
        self._left = n

    def __getattr__(self, name):
        return getattr(self._blobs, name)

    async def read(self, blob, **more):
        async for piece in self._blobs.read(blob, **more):
            yield piece
            if blob.name.endswith("requests") and not more:
                self._left -= 1
                if self._left == 0:
                    self._clock.suspend(2 * TTL)


async def test_a_process_that_slept_in_the_middle_of_a_call_does_not_finish_it(bench):
    """Then nothing was created, and after the grace it is sent once more."""
    import random

    noise = random.Random(1)

    def build(row):
        return ask({"text": f"claim {row['n']} " + noise.randbytes(150_000).hex()}, max_tokens=2000)

    bench.simulate()
    clock = LoopClock(asyncio.get_running_loop())
    blobs = Closing(folder(path=bench.folder / "state" / "objects"), clock, n=4)
    report = await bench.run(bench.job(8, request=build, rules=rules(grace=20.0)), clock=clock, blobs=blobs)
    bench.check(report, asked=8, good=8)
    stats = bench.sim.stats()
    assert (stats["creates"], stats["batches_created"]) == (2, 1)
    assert bench.told("batch.in_doubt")


class Lapsing:
    """A store whose lease is found lapsed right after the first intent: the machine slept between two commits."""

    def __init__(self):
        self._store = memory_state()
        self._lapses = False
        self.lapsed = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def commit(self, change):
        if self._lapses and isinstance(change[0], Holding):
            self._lapses = False
            raise lease_not_held(change[0])
        await self._store.commit(change)
        if not self.lapsed and any(isinstance(step, Put) and isinstance(step.entity, Intent) for step in change):
            self._lapses = self.lapsed = True


async def test_a_call_whose_end_could_not_be_written_down_is_looked_for_by_the_same_process(bench):
    """Nobody took the lease meanwhile, so the process goes on; nobody but it can ask what became of its call."""
    bench.simulate()
    store = Lapsing()
    report = await bench.run(bench.job(20), store=store, blobs=memory_blobs())
    assert store.lapsed
    bench.check(report, asked=20, good=20)
    assert "slept in the middle of the call" in bench.told("batch.in_doubt")[0].text
    assert bench.sim.stats()["batches_created"] == 1
