"""Cancel, typed in every state that a run and its batches can be in: what was answered is collected, delivered and counted.

The states in which nothing was sent or everything is at the provider are in test_wishes.py; here are those in which
something is half done.
"""

import anyio
import pytest
from bench import problems_of, rules

from batchflow import To
from batchflow.engine.ids import uuid7
from batchflow.machine.ruling import Absent, GiveUp
from batchflow.model.change import Put
from batchflow.model.errors import RunRefused, SinkError
from batchflow.model.state import Batch, BatchState, Delivery, Entry, Run, RunState, Wish
from batchflow.model.words import Word
from batchflow.sim import FaultPlan


async def cancel(bench, run):
    """Somebody types `batchflow cancel`."""
    async with bench.flow() as flow:
        await flow.store.commit((Put(Wish(id=uuid7(), run=run, verb="cancel", at=0.0)),))


async def canceled_while(bench, job, *states):
    """Runs a job, and cancels it as soon as a batch is in one of these states."""

    async def operator():
        async with bench.flow() as flow:
            while not (found := await flow.store.find(Batch, {"state": states}, limit=1)):
                await anyio.sleep(0.25)
        await cancel(bench, found[0].run)

    async with anyio.create_task_group() as group:
        group.start_soon(operator)
        return await bench.run(job)


async def at_rest(bench, report, *, rows=None):
    """What holds after every cancellation: each row has come to one end, and what was paid is booked to the last cent."""
    assert report.run.state is RunState.CANCELED, report.run.why
    books = report.books
    assert rows is None or books["rows"] == rows
    assert books["delivered"] + books["dead"] + books["canceled"] == books["rows"]
    assert len(bench.good) == books["delivered"]
    keys = [result.key for result in [*bench.good, *bench.dead]]
    assert len(keys) == len(set(keys)) == books["rows"]
    async with bench.flow() as flow:
        entries = await flow.store.find(Entry, {"run": report.run.id, "kind": "settle"})
    assert books["paid"] == sum(entry.paid for entry in entries)
    assert sum(entry.rows for entry in entries) == bench.sim.stats()["rows_billed"]


async def test_cancel_of_an_ended_batch_collects_and_delivers_all_of_it(bench):
    bench.simulate("results:1+2:status,status=503", duration=30.0)
    report = await canceled_while(bench, bench.job(40), BatchState.ENDED)
    await at_rest(bench, report, rows=40)
    assert (report.books["delivered"], report.books["canceled"]) == (40, 0)
    assert report.books["paid"] > 0
    assert bench.sim.stats()["cancels"] == 0


async def test_cancel_of_a_collected_batch_delivers_it(bench):
    """The sink is slow: the results are stored, and not one of them is out."""
    bench.simulate(duration=30.0)
    gate = anyio.Event()

    async def slow(results):
        await gate.wait()
        bench.good.extend(results)

    job = bench.job(20, sinks=[To(sink=slow, name="good"), To(sink=bench.dead.extend, on="dead", name="dead")])

    async def operator():
        async with bench.flow() as flow:
            while not (found := await flow.store.find(Batch, {"state": BatchState.COLLECTED}, limit=1)):
                await anyio.sleep(0.25)
            await cancel(bench, found[0].run)
            while not (await flow.store.get(Run, found[0].run)).cancel:
                await anyio.sleep(0.25)
        gate.set()

    async with anyio.create_task_group() as group:
        group.start_soon(operator)
        report = await bench.run(job)
    await at_rest(bench, report, rows=20)
    assert report.books["delivered"] == 20


async def test_cancel_while_a_part_is_parked_keeps_it_for_when_the_sink_is_mended(bench):
    bench.simulate(duration=30.0)
    broken = [True]

    def full(results):
        if broken[0]:
            raise SinkError("the disk is full")
        bench.good.extend(results)

    job = bench.job(20, sinks=[To(sink=full, name="good"), To(sink=bench.dead.extend, on="dead", name="dead")])
    report = await bench.run(job)
    assert report.run.state is RunState.PAUSED, report.run.why
    await cancel(bench, report.run.id)
    report = await bench.run(job)
    assert (report.run.state, report.run.cancel) == (RunState.PAUSED, True)
    assert "the disk is full" in report.run.why
    broken[0] = False
    await at_rest(bench, await bench.run(job), rows=20)
    assert len(bench.good) == 20


HELD = {"grace": 5.0, "on_absent": "hold"}


async def test_cancel_of_a_batch_that_is_held_as_absent_ends_it_without_paying(bench):
    """`on_absent: hold` asks before sending again; a run that is canceled sends nothing again, so nobody need be asked."""
    sim = bench.simulate("create:1:status,status=500")
    job = bench.job(20, rules=rules(**HELD))
    report = await bench.run(job)
    assert "is held" in report.run.why
    await cancel(bench, report.run.id)
    report = await bench.run(job)
    await at_rest(bench, report, rows=20)
    assert (report.books["canceled"], report.books["paid"], sim.stats()["creates"]) == (20, 0, 1)


SWALLOWED = ("create:1:unlisted,seconds=50000", "create:1:reset_after")
"""The batch is made, nobody is told, and no listing shows it for most of a day."""


async def canceled_in_doubt(bench, *faults, **options):
    """A run that was canceled before anybody knew whether its only batch had been made."""
    sim = bench.simulate(*faults, **options)
    job = bench.job(20, rules=rules(**HELD))
    held = await bench.run(job)
    await cancel(bench, held.run.id)
    report = await bench.run(job)
    assert (report.run.state, report.books["canceled"]) == (RunState.CANCELED, 20)
    return sim, job, report.run


async def asked_again(bench, job, run, *words):
    async with bench.flow() as flow:
        report = await flow.retry(job, await flow.store.get(Run, run.id), set(words or {Word.CANCELED}))
        await bench.audit(flow.store, report)
        return report


async def reconciled(bench, job, run, *rulings):
    """Somebody types `batchflow reconcile`."""
    async with bench.flow() as flow:
        answer = await flow.reconcile(job, await flow.store.get(Run, run.id), rulings)
        now = await flow.store.get(Run, run.id)
        books = await flow.store.books(run.id)
        assert problems_of(books, now) == []
        return answer, now, books


async def test_a_batch_that_turns_up_after_its_run_was_canceled_is_collected_and_delivered(bench):
    sim, job, run = await canceled_in_doubt(bench, *SWALLOWED)
    assert len(bench.dead) == 20
    assert bench.dead[0].error == "canceled while nobody knew whether it was sent"
    assert "paid for if it turns up" in bench.told("batch.canceled")[0].text
    sim.clock.advance(60_000)
    _, now, books = await reconciled(bench, job, run)
    assert (now.state, now.cancel, books["in_flight"], books["canceled"]) == (RunState.DRAINING, True, 20, 0)
    assert books["reserved"] > 0
    report = await bench.run(job)
    assert report.run.state is RunState.CANCELED  # which it stays, whatever came home
    assert (report.books["delivered"], report.books["canceled"], report.books["waste"]) == (20, 0, 0)
    assert report.books["paid"] > 0
    assert (sim.stats()["requests_accepted"], len(bench.good)) == (20, 20)
    assert "created after all" in bench.told("batch.late")[0].text


async def test_asking_canceled_rows_again_takes_what_has_turned_up_and_asks_nothing(bench):
    sim, job, run = await canceled_in_doubt(bench, *SWALLOWED)
    sim.clock.advance(60_000)
    report = await asked_again(bench, job, run)
    assert (report.books["delivered"], report.books["canceled"], len(bench.good)) == (20, 0, 20)
    assert sim.stats()["requests_accepted"] == 20


async def test_rows_that_were_asked_again_before_their_batch_turned_up_are_delivered_once_and_the_rest_is_waste(bench):
    faults = "create:1:unlisted,seconds=300", "create:1:reset_after", "create:2:duration,seconds=3000", "cancel::spare"
    sim, _, run = await canceled_in_doubt(bench, *faults)
    report = await asked_again(bench, bench.job(20, rules=rules(grace=5.0)), run)
    bench.dead.clear()
    assert sim.stats()["requests_accepted"] == 40
    bench.check(report, good=20)
    assert bench.told("batch.twin")
    assert report.books["waste"] == report.books["twice"] > 0
    assert report.books["paid"] > report.books["waste"]


async def test_rows_that_were_asked_again_and_canceled_again_are_still_found(bench):
    """What a call made belongs to the rows, wherever they wait: here in a batch that was drafted for the retry."""
    sim, _, run = await canceled_in_doubt(bench, *SWALLOWED)
    sim.set_faults(FaultPlan.parse(["create::credit"]))
    job = bench.job(20, rules=rules(grace=5.0))
    assert (await asked_again(bench, job, run)).run.word is Word.NO_CREDIT
    await cancel(bench, run.id)
    assert (await bench.run(job)).books["canceled"] == 20
    sim.clock.advance(60_000)
    await reconciled(bench, job, run)
    report = await bench.run(job)
    assert (report.books["delivered"], report.books["waste"], len(bench.good)) == (20, 0, 20)
    assert sim.stats()["requests_accepted"] == 20


async def test_a_batch_that_turns_up_after_its_rows_were_asked_again_and_not_sent_yet_is_not_paid_twice(bench):
    """The retry was paused for a night; right before it is sent, the listing is read anew."""
    sim, _, run = await canceled_in_doubt(bench, *SWALLOWED)
    sim.set_faults(FaultPlan.parse(["create::credit"]))
    job = bench.job(20, rules=rules(grace=5.0))
    await asked_again(bench, job, run)
    sim.set_faults(FaultPlan())
    sim.clock.advance(60_000)
    bench.dead.clear()
    bench.check(await bench.run(job), asked=20, good=20)


async def test_a_batch_that_turns_up_after_it_was_given_up_is_collected_and_delivered(bench):
    sim = bench.simulate(*SWALLOWED)
    job = bench.job(20, rules=rules(**HELD))
    held = await bench.run(job)
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {})
    await reconciled(bench, job, held.run, GiveUp(batch.id, batch.token))
    report = await bench.run(job)
    assert (report.run.state, report.books["dead"]) == (RunState.DONE, 20)
    sim.clock.advance(60_000)
    bench.dead.clear()
    await reconciled(bench, job, held.run)
    report = await bench.run(job)
    bench.check(report, asked=20, good=20)
    assert report.books["waste"] == 0


@pytest.mark.parametrize("days", [0, 3])
async def test_rows_that_a_canceled_run_may_have_paid_for_are_not_asked_again_under_hold(bench, days):
    """Nobody had decided when it was canceled. That is so however long it was watched, until somebody says that it is not there."""
    _, job, run = await canceled_in_doubt(bench, "create:1:status,status=500")
    await anyio.sleep(days * 24 * 3600)
    with pytest.raises(RunRefused, match="may pay for them twice, at most") as refused:
        await asked_again(bench, job, run)
    assert "not watched any more" in refused.value.hint if days else "watched for another 48" in refused.value.hint
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {})
    assert f"--absent {batch.id}" in refused.value.hint
    answer, _, _ = await reconciled(bench, job, run, Absent(batch.id, batch.token))
    assert answer.said[0].done
    assert "is paid twice" in answer.said[0].text
    report = await asked_again(bench, job, run)
    bench.dead.clear()
    bench.check(report, asked=20, good=20)


async def test_absent_is_no_word_about_a_canceled_batch_that_was_never_sent(bench):
    bench.simulate("create::credit")
    job = bench.job(20)
    paused = await bench.run(job)
    await cancel(bench, paused.run.id)
    report = await bench.run(job)
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {})
    answer, _, _ = await reconciled(bench, job, report.run, Absent(batch.id, batch.token))
    assert not answer.said[0].done


async def test_they_are_asked_again_where_the_job_takes_that_risk(bench):
    bench.simulate("create:1:status,status=500")
    held = await bench.run(bench.job(20, rules=rules(**HELD)))
    await cancel(bench, held.run.id)
    report = await bench.run(bench.job(20, rules=rules(**HELD)))
    async with bench.flow() as flow:
        run = await flow.store.get(Run, report.run.id)
        again = await flow.retry(bench.job(20, rules=rules(grace=5.0)), run, {Word.CANCELED})
    assert (again.run.state, again.books["delivered"], len(bench.good)) == (RunState.DONE, 20, 20)
    assert bench.sim.stats()["requests_accepted"] == 20


async def test_cancel_of_a_held_batch_that_exists_finds_it_and_keeps_what_was_answered(bench):
    sim = bench.simulate("create:1:unlisted,seconds=100", "create:1:reset_after", duration=5e4, cancel_delay=10.0)
    job = bench.job(20, rules=rules(**HELD))
    report = await bench.run(job)
    assert "is held" in report.run.why
    sim.clock.advance(200)
    await cancel(bench, report.run.id)
    sim.clock.advance(6e4)
    await at_rest(bench, await bench.run(job), rows=20)
    assert len(bench.good) == 20


@pytest.mark.parametrize("ruling", [Absent, GiveUp])
async def test_cancel_of_what_nobody_can_tell_waits_for_a_word_and_then_ends(bench, ruling):
    """No listing, so nobody knows whether it exists. Ending the run on our own word could lose what was paid for."""
    sim = bench.simulate("create:1:reset_after", "list::status,status=404")
    job = bench.job(20, rules=rules(grace=5.0))
    report = await bench.run(job)
    assert "is held" in report.run.why
    await cancel(bench, report.run.id)
    report = await bench.run(job)
    assert (report.run.state, report.run.cancel) == (RunState.PAUSED, True)
    assert "batchflow reconcile" in report.run.why
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {})
        answer = await flow.reconcile(job, report.run, [ruling(batch.id, batch.token)])
    assert answer.said[0].done
    report = await bench.run(job)
    assert report.run.state is RunState.CANCELED
    assert {result.word for result in bench.dead} == {Word.CANCELED if ruling is Absent else Word.MISSING}
    assert sim.stats()["creates"] == 1


async def test_cancel_of_a_batch_adopted_by_count_waits_until_its_token_is_read(bench):
    """It may be somebody else's: canceling theirs would cost them."""
    sim = bench.simulate("create:1:reset_after", duration=600.0)
    report = await canceled_while(bench, bench.job(20), BatchState.RUNNING)
    await at_rest(bench, report, rows=20)
    assert report.books["delivered"] == 20
    assert sim.stats()["cancels"] == 0


async def test_cancel_of_a_failed_run_keeps_what_was_answered(bench):
    sim = bench.simulate(duration=600.0, cancel_delay=10.0)

    def source():
        yield {"id": "k0", "text": "the only good one"}
        raise RuntimeError("the source broke")

    job = bench.job(1, source=source, rules=rules(max_requests=1))
    with pytest.raises(Exception, match="the source broke"):
        await bench.run(job)
    async with bench.flow() as flow:
        (run,) = await flow.store.find(Run, {})
        assert run.state is RunState.FAILED
        report = await flow.cancel(job, run)
    await at_rest(bench, report)
    assert sim.stats()["requests_accepted"] <= 1


async def test_cancel_is_obeyed_by_the_next_process_when_the_first_one_dies_over_it(bench):
    bench.simulate(duration=5000.0, cancel_delay=50.0)
    job = bench.job(40)

    async def operator(scope):
        async with bench.flow() as flow:
            while not (found := await flow.store.find(Batch, {"state": BatchState.RUNNING}, limit=1)):
                await anyio.sleep(0.25)
            await cancel(bench, found[0].run)
            while not await flow.store.find(Batch, {"state": BatchState.CANCELING}, limit=1):
                await anyio.sleep(0.25)
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(operator, group.cancel_scope)
        await bench.run(job)
    await at_rest(bench, await bench.run(job), rows=40)
    assert bench.sim.stats()["cancels"] == 1


async def test_a_paused_run_is_canceled_with_what_is_in_flight_and_what_waits(bench):
    sim = bench.simulate("create:2+:credit", duration=5000.0, cancel_delay=10.0)
    job = bench.job(60, rules=rules(max_requests=20))
    report = await bench.run(job)
    assert report.run.word is Word.NO_CREDIT
    sim.set_faults(FaultPlan())
    tried = sim.stats()["creates"]
    async with bench.flow() as flow:
        report = await flow.cancel(job, report.run)
    await at_rest(bench, report)
    assert report.books["canceled"] > 0
    assert sim.stats()["creates"] == tried


async def test_nothing_is_left_to_deliver_when_a_canceled_run_has_ended(bench):
    bench.simulate(duration=1200.0, cancel_delay=10.0)
    report = await canceled_while(bench, bench.job(40), BatchState.RUNNING)
    await at_rest(bench, report, rows=40)
    async with bench.flow() as flow:
        assert not await flow.store.find(Delivery, {"state": ["due", "parked"]})
