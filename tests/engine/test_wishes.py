"""Operators pause, cancel and stop, from here or from another process, in every state."""

from contextlib import asynccontextmanager

import anyio
import pytest
from bench import rules

from batchflow.builtin.retry import standard
from batchflow.builtin.stores.memory import memory_blobs, memory_state
from batchflow.engine.ids import uuid7
from batchflow.model.change import Put
from batchflow.model.errors import Bug, Locked
from batchflow.model.record import Position
from batchflow.model.state import Batch, BatchState, Run, RunState, Wish
from batchflow.model.words import Word
from batchflow.sim import FaultPlan
from batchflow.stages.draft import Reader


def some(*states):
    async def when(store, run):
        return bool(await store.find(Batch, {"run": run.id, "state": states}, limit=1))

    return when


async def wish(bench, verb, when):
    """Somebody at another terminal waits until the run looks like that, and types."""
    async with bench.flow() as flow:
        while not ((runs := await flow.store.find(Run, {"job": "job"})) and await when(flow.store, runs[0])):
            await anyio.sleep(0.25)
        await flow.store.commit((Put(Wish(id=uuid7(), run=runs[0].id, verb=verb, at=0.0)),))


async def watched(bench, job, verb, when):
    """Runs a job while an operator waits for the moment."""
    async with anyio.create_task_group() as group:
        group.start_soon(wish, bench, verb, when)
        return await bench.run(job)


async def resume(bench, job, run):
    """Somebody types `batchflow resume`."""
    async with bench.flow() as flow:
        report = await flow.resume(job, run)
        await bench.audit(flow.store, report)
        return report


def canceled(bench, report, *, rows):
    """What holds after every cancellation: each row is somewhere, and what was paid for was delivered."""
    assert report.run.state is RunState.CANCELED
    books = report.books
    assert books["rows"] == rows
    assert books["delivered"] + books["dead"] + books["canceled"] == rows
    assert len(bench.good) == books["delivered"] == bench.sim.stats()["rows_billed"]
    assert {result.key for result in bench.good}.isdisjoint(result.key for result in bench.dead)
    assert len({result.key for result in [*bench.good, *bench.dead]}) == rows
    assert sum(result.word is Word.CANCELED for result in bench.dead) == books["canceled"]


async def test_cancel_in_mid_flight_delivers_what_was_answered_and_counts_the_rest(bench):
    bench.simulate(duration=1200.0, cancel_delay=10.0)
    report = await watched(bench, bench.job(40), "cancel", some(BatchState.RUNNING))
    canceled(bench, report, rows=40)
    assert report.books["canceled"] > 0
    assert bench.sim.stats()["cancels"] == 1


async def test_a_cancel_that_comes_too_late_for_every_row_delivers_them_all(bench):
    bench.simulate("cancel::spare", duration=1200.0)
    report = await watched(bench, bench.job(40), "cancel", some(BatchState.RUNNING))
    canceled(bench, report, rows=40)
    assert report.books["delivered"] == 40


async def test_cancel_before_anything_was_sent_costs_nothing(bench):
    bench.simulate("create::status,status=429,retry_after=200")
    report = await watched(bench, bench.job(40, rules=rules(max_requests=10)), "cancel", some(BatchState.DRAFTED))
    canceled(bench, report, rows=report.books["rows"])
    assert report.books["canceled"] == report.books["rows"] > 0
    assert bench.sim.stats()["requests_accepted"] == 0


async def test_cancel_while_a_call_is_being_made_waits_for_its_reply(bench):
    bench.simulate("create:1:slow,seconds=0.3,when=after", duration=600.0)
    report = await watched(bench, bench.job(20), "cancel", some(BatchState.SUBMITTING))
    canceled(bench, report, rows=20)
    assert bench.sim.stats()["requests_accepted"] == 20


async def test_cancel_in_doubt_finds_out_first(bench):
    bench.simulate("create:1:reset_after", "create:1:unlisted,seconds=120", duration=1200.0)
    report = await watched(bench, bench.job(20), "cancel", some(BatchState.IN_DOUBT))
    canceled(bench, report, rows=20)
    assert bench.sim.stats()["requests_accepted"] == 20


async def test_cancel_of_what_was_never_created_sends_nothing_again(bench):
    bench.simulate("create:1:reset_before")
    report = await watched(bench, bench.job(20, rules=rules(grace=20.0)), "cancel", some(BatchState.IN_DOUBT))
    canceled(bench, report, rows=20)
    assert bench.sim.stats()["creates"] == 1


async def test_cancel_gives_up_rows_that_wait_for_another_try(bench):
    bench.simulate("row:50%:overloaded")
    job = bench.job(40, rules=rules(max_requests=10, after=3600.0))
    report = await watched(bench, job, "cancel", some(BatchState.COLLECTED, BatchState.DELIVERED))
    canceled(bench, report, rows=40)


async def test_cancel_while_the_source_is_read_keeps_the_pack_in_hand(bench):
    bench.simulate(duration=600.0)

    job = bench.job(5000, rules=rules(max_requests=500, in_flight=1))
    report = await watched(bench, job, "cancel", some(BatchState.DRAFTED, BatchState.SUBMITTING, BatchState.RUNNING))
    canceled(bench, report, rows=report.books["rows"])
    assert report.books["rows"] < 5000


async def test_a_pause_keeps_everything_and_a_resume_goes_on(bench):
    bench.simulate(duration=600.0)
    report = await watched(bench, bench.job(60, rules=rules(max_requests=20)), "pause", some(BatchState.RUNNING))
    assert report.run.state is RunState.PAUSED
    left = await bench.run(bench.job(60, rules=rules(max_requests=20)))
    assert (left.run.state, left.driven) == (RunState.PAUSED, False)  # whoever paused it has the last word
    bench.check(await resume(bench, bench.job(60, rules=rules(max_requests=20)), report.run), asked=60, good=60)


async def test_a_pause_while_the_source_is_read_loses_no_record(bench):
    bench.simulate()
    job = bench.job(3000, rules=rules(max_requests=300, in_flight=2))
    report = await watched(bench, job, "pause", some(BatchState.DRAFTED))
    assert report.run.state is RunState.PAUSED
    bench.check(await resume(bench, job, report.run), asked=3000, good=3000)


async def test_a_paused_run_can_be_canceled(bench):
    sim = bench.simulate("create::credit")
    report = await bench.run(bench.job(20))
    assert report.run.state is RunState.PAUSED
    async with bench.flow() as flow:
        await flow.store.commit((Put(Wish(id=uuid7(), run=report.run.id, verb="cancel", at=0.0)),))
    sim.set_faults(FaultPlan())
    report = await bench.run(bench.job(20))
    canceled(bench, report, rows=20)
    assert sim.stats()["requests_accepted"] == 0


async def test_a_stop_finishes_what_is_in_hand_and_a_new_run_goes_on(bench):
    bench.simulate(duration=600.0)
    async with bench.flow() as flow:
        flow._on_event = lambda event: flow.stop() if event.kind == "batch.submitted" else None
        report = await flow.run(bench.job(60, rules=rules(max_requests=20)))
        await bench.audit(flow.store, report)
        assert report.run.state in {RunState.RUNNING, RunState.DRAINING}
        assert not await flow.store.find(Batch, {"state": BatchState.SUBMITTING})
    bench.check(await bench.run(bench.job(60, rules=rules(max_requests=20))), asked=60, good=60)


async def test_a_task_that_is_cancelled_in_the_middle_of_a_call_leaves_it_in_doubt_and_finds_it_later(bench):
    """Ctrl-C twice."""
    bench.simulate("create:1:slow,seconds=5,when=after")
    with anyio.move_on_after(2) as scope:
        async with anyio.create_task_group() as group:

            async def run():
                await bench.run(bench.job(20))

            group.start_soon(run)
            while bench.sim.stats()["requests_accepted"] == 0:
                await anyio.sleep(0.25)
            group.cancel_scope.cancel()
    assert not scope.cancelled_caught
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {})
    assert batch.state is BatchState.SUBMITTING
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)


async def test_a_task_that_is_cancelled_begins_nothing_more(bench):
    """Neither of these stores ever lets go of the loop, so nobody else would tell it."""
    bench.simulate()
    job = bench.job(400, rules=rules(max_requests=12))
    stores = {"store": memory_state(), "blobs": memory_blobs()}
    with anyio.CancelScope() as scope:
        await bench.run(job, on_event=lambda event: scope.cancel() if event.kind == "batch.drafted" else None, **stores)
    assert scope.cancelled_caught
    drafted = await stores["store"].find(Batch, {})
    assert 1 <= len(drafted) <= 3
    report = await bench.run(job, **stores)
    bench.check(report, asked=400, good=400)


async def test_a_reader_that_was_broken_off_never_goes_on(bench):
    """What it had in hand is in nobody's hands: going on would pass over it. A new one begins where the last commit was."""
    bench.simulate()
    job = bench.job(30, rules=rules(max_requests=12))
    blobs = Hanging(memory_blobs())
    async with bench.flow(store=memory_state(), blobs=blobs) as flow:
        lease = flow._lease("run/r")
        await lease.take()
        parts = job.parts(standard())
        run = flow._fresh(job, None, after=None)
        kit = flow._kit(run, parts, lease)
        await flow.store.commit((Put(run),))
        reader = Reader(kit, start=Position(), read=0, seen=NoneSeen())
        with anyio.move_on_after(0.1):
            await reader.next_pack()
        blobs.hanging = False
        with pytest.raises(Bug, match="passed over records"):
            await reader.next_pack()
        assert not await flow.store.find(Batch, {})


class Hanging:
    """Objects that nobody can finish for a while."""

    def __init__(self, blobs):
        self._blobs = blobs
        self.hanging = True

    def __getattr__(self, name):
        return getattr(self._blobs, name)

    @asynccontextmanager
    async def create(self, name):
        async with self._blobs.create(name) as writer:
            if self.hanging:
                writer.finish = anyio.sleep_forever
            yield writer


class NoneSeen:
    """Every key is new."""

    def add(self, keys, first, /):
        return [False] * len(keys)

    async def checkpoint(self, label): ...

    async def close(self): ...


async def test_a_second_driver_is_refused_by_name(bench):
    import os
    import socket

    bench.simulate(duration=600.0)
    refused = []

    async def second():
        async with bench.flow() as flow:
            while not await flow.store.find(Batch, {"state": BatchState.RUNNING}):
                await anyio.sleep(0.25)
        with pytest.raises(Locked, match=rf"process {os.getpid()} on {socket.gethostname()}") as caught:
            await bench.run(bench.job(20))
        refused.append(caught.value)

    async with anyio.create_task_group() as group:
        group.start_soon(second)
        report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)
    assert len(refused) == 1


async def test_two_that_begin_the_same_job_at_once_pay_once(bench):
    bench.simulate()
    outcomes = []

    async def begin():
        try:
            outcomes.append((await bench.run(bench.job(20))).run.id)
        except Locked:
            outcomes.append(None)

    async with anyio.create_task_group() as group:
        group.start_soon(begin)
        group.start_soon(begin)
    assert bench.sim.stats()["requests_accepted"] == 20
    assert outcomes.count(None) == 1


async def test_one_flow_runs_two_jobs_side_by_side(bench):
    bench.simulate()
    async with bench.flow() as flow, anyio.create_task_group() as group:
        group.start_soon(flow.run, bench.job(20, name="one"))
        group.start_soon(flow.run, bench.job(30, name="two"))
    assert bench.sim.stats()["requests_accepted"] == 50
    assert len(bench.good) == 50


async def test_leaving_early_leaves_nothing_unsent(bench):
    bench.simulate(duration=600.0)
    report = await bench.run(bench.job(60, rules=rules(max_requests=20)), wait=0.0)
    assert report.run.state is RunState.DRAINING
    assert bench.sim.stats()["requests_accepted"] == 60
    bench.check(await bench.run(bench.job(60, rules=rules(max_requests=20))), asked=60, good=60)
