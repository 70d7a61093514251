"""The loop: it starves nobody, spins on nothing, and one broken step does not tear the others down."""

import asyncio

import pytest
from bench import rules
from jumping import LoopClock

from batchflow.builtin.stores.folder import folder
from batchflow.builtin.stores.sqlite import sqlite_state
from batchflow.engine import driver
from batchflow.model.errors import BatchflowError, Bug, PluginError, StoreUnavailable
from batchflow.model.state import RunState
from batchflow.plugin import hookimpl


class Failing:
    """Something of ours whose n-th call of a method fails; all others go through."""

    __module__ = "batchflow.builtin"

    def __init__(self, real, method, n, error):
        self._real = real
        self._method = method
        self._left = n
        self._error = error

    def __getattr__(self, name):
        real = getattr(self._real, name)
        if name != self._method:
            return real

        async def call(*args, **more):
            self._left -= 1
            if self._left == 0:
                raise self._error
            return await real(*args, **more)

        return call

    @property
    def happened(self):
        return self._left <= 0


def full():
    return StoreUnavailable("the disk is full", hint="make room")


def a_job(bench):
    return bench.job(30, rules=rules(max_requests=10, grace=20.0))


async def interrupted(bench, expected, **parts):
    """Runs into an error, then goes on with everything well again."""
    with pytest.raises(expected) as caught:
        await bench.run(a_job(bench), **parts)
    report = await bench.run(a_job(bench))
    assert report.run.state is RunState.DONE
    assert bench.sim.stats()["requests_accepted"] == 30
    assert {result.key for result in bench.good} == {f"k{n}" for n in range(30)}
    return caught.value


@pytest.mark.parametrize("n", [2, 3, 5, 6, 8, 9, 11, 13, 16, 20, 24])
async def test_a_store_that_cannot_commit_stops_the_run_and_loses_nothing(bench, n):
    bench.simulate()
    store = Failing(sqlite_state(path=bench.folder / "state" / "state.db"), "commit", n, full())
    error = await interrupted(bench, StoreUnavailable, store=store)
    assert error.hint == "make room"


@pytest.mark.parametrize("n", [5, 40, 90])
@pytest.mark.parametrize("method", ["find", "outlook"])
async def test_a_store_that_cannot_read_stops_the_run_and_loses_nothing(bench, method, n):
    bench.simulate()
    store = Failing(
        sqlite_state(path=bench.folder / "state" / "state.db"), method, n if method == "find" else n // 5, full()
    )
    await interrupted(bench, StoreUnavailable, store=store)


class FailingObjects(Failing):
    """Objects whose n-th creation fails."""

    def __getattr__(self, name):
        if name != "create":
            return getattr(self._real, name)
        return self._create

    def _create(self, name):
        self._left -= 1
        if self._left == 0:
            raise self._error
        return self._real.create(name)


@pytest.mark.parametrize("n", [1, 3, 5, 9, 10, 12])
async def test_objects_that_cannot_be_written_stop_the_run_and_lose_nothing(bench, n):
    bench.simulate()
    blobs = FailingObjects(folder(path=bench.folder / "state" / "objects"), "create", n, full())
    await interrupted(bench, StoreUnavailable, blobs=blobs)


@pytest.mark.parametrize("method", ["status", "binding", "weigh"])
async def test_a_mistake_in_a_provider_is_one_error_and_not_a_group(bench, method):
    bench.simulate()
    provider = Failing(bench.provider(), method, 1, KeyError("oops"))
    if method != "status":
        provider = Broken(bench.provider(), method)
    error = await interrupted(bench, BatchflowError, provider=provider)
    assert "oops" in str(error)


class Broken:
    """A provider one of whose plain methods raises, the first time."""

    def __init__(self, real, method):
        self._real = real
        self._method = method

    def __getattr__(self, name):
        if name == self._method:
            self._method = ""
            raise KeyError("oops")
        return getattr(self._real, name)


async def test_a_provider_that_breaks_down_in_a_create_leaves_a_doubt_and_no_second_bill(bench):
    """It may have sent everything before it broke down."""
    bench.simulate()

    class Careless(Failing):
        def __getattr__(self, name):
            if name != "submit":
                return getattr(self._real, name)
            return self._submit

        async def _submit(self, outgoing):
            remote = await self._real.submit(outgoing)
            self._left -= 1
            if self._left == 0:
                raise RuntimeError("after the fact")
            return remote

    error = await interrupted(bench, PluginError, provider=Careless(bench.provider(), "submit", 1, None))
    assert "after the fact" in str(error)


async def test_an_unexpected_error_of_ours_is_called_a_bug_and_keeps_its_cause(bench):
    bench.simulate()
    store = Failing(sqlite_state(path=bench.folder / "state" / "state.db"), "books", 2, ZeroDivisionError("books"))
    error = await interrupted(bench, Bug, store=store)
    assert isinstance(error.__cause__, ZeroDivisionError)


async def test_a_long_queue_keeps_nobody_from_looking_at_what_is_in_flight(bench, monkeypatch):
    """With one batch in flight and all the others waiting, the one in flight is last in the queue."""
    monkeypatch.setattr(driver, "AGENDA", 2)
    bench.simulate("create::max_requests,limit=5")
    report = await bench.run(bench.job(40, rules=rules(in_flight=1)))
    bench.check(report, asked=40, good=40)


async def test_a_step_that_cannot_begin_is_not_asked_about_all_the_time(bench):
    """One batch is in flight for ten minutes, and others wait for its place: nobody spins meanwhile."""
    bench.simulate("create:1:duration,seconds=360")
    store = Counting(sqlite_state(path=bench.folder / "state" / "state.db"))
    report = await bench.run(bench.job(40, rules=rules(max_requests=10, in_flight=1)), store=store)
    bench.check(report, asked=40, good=40)
    rounds, seconds = store.calls, bench.events[-1].at - bench.events[0].at
    assert rounds < 15 * seconds  # of the job's own time; naps that do not grow make forty


async def test_a_machine_that_was_suspended_goes_on_as_soon_as_it_wakes(bench):
    """Its timers stood still, and what they wait for is long due."""
    bench.simulate("create:1:status,status=429,retry_after=300")
    loop = asyncio.get_running_loop()
    clock, began = LoopClock(loop), loop.time()

    def close_the_lid(event):
        if event.kind == "batch.put_off":
            loop.call_later(10, clock.suspend, 3600.0)

    report = await bench.run(bench.job(20), clock=clock, on_event=close_the_lid)
    bench.check(report, asked=20, good=20)
    assert loop.time() - began < 100.0


class Patient:
    """Looks at a batch again after ten minutes, and notes what would have been usual."""

    def __init__(self):
        self.usual = []

    @hookimpl
    def choose_poll_delay(self, age, default):
        self.usual.append((age, default))
        return 600.0


async def test_a_plugin_chooses_when_a_batch_is_looked_at_again(bench):
    bench.simulate()
    patient = Patient()
    report = await bench.run(bench.job(20), plugins=[patient])
    bench.check(report, asked=20, good=20)
    [submitted], [ended] = bench.told("batch.submitted"), bench.told("batch.ended")
    assert 600.0 <= ended.at - submitted.at < 700.0  # it took half a minute
    assert all(2.0 <= default <= 60.0 for _, default in patient.usual)


class Counting:
    """A state store that counts its calls."""

    def __init__(self, store):
        self._store = store
        self.calls = 0

    def __getattr__(self, name):
        self.calls += 1
        return getattr(self._store, name)


async def test_held_batches_take_no_places(bench):
    """More batches are held than may be in flight; the others go on, and the run ends by asking."""
    bench.simulate("create:1+2:status,status=500")
    report = await bench.run(bench.job(60, rules=rules(max_requests=10, in_flight=2, grace=5.0, on_absent="hold")))
    assert report.run.state is RunState.PAUSED
    assert "held" in report.run.why
    assert len(bench.good) == 60 - report.books["in_flight"]
    assert report.books["waiting"] == 0


async def test_a_held_batch_that_is_known_is_looked_at_again_and_not_for_ever(bench):
    from batchflow.sim import FaultPlan

    sim = bench.simulate("results::truncate,framing=close,rows=3")
    report = await bench.run(bench.job(20))
    assert report.run.state is RunState.PAUSED
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(bench.job(20)), asked=20, good=20)
