"""The account says no, in the five shapes that money has there: the run pauses with the reason, and no row pays for it.

Whichever call hears of it, and if only some rows do: nothing burns an attempt, nothing becomes a dead letter, and `resume`
goes on with every row.
"""

import anyio
import pytest
from bench import rules

from batchflow.builtin.retry import standard
from batchflow.engine.ids import uuid7
from batchflow.model.change import Put
from batchflow.model.state import Batch, BatchState, RunState, Wish
from batchflow.model.words import Word
from batchflow.sim import FaultPlan

SHAPES = {
    "credit": (Word.NO_CREDIT, "credit balance is too low"),  # HTTP 400 invalid_request_error
    "spend_cap": (Word.NO_CREDIT, "429"),  # without retry-after, until next month
    "workspace_limit": (Word.NO_CREDIT, "usage limits"),
    "on_hold": (Word.UNAUTHORIZED, "on hold"),
    "revoked": (Word.UNAUTHORIZED, "API key is invalid"),
}
shapes = pytest.mark.parametrize("shape", SHAPES)


def paused(report, shape):
    """What a pause for money looks like: the reason, the next command, and all rows kept."""
    word, said = SHAPES[shape]
    assert (report.run.state, report.run.word) == (RunState.PAUSED, word)
    assert said in report.run.why
    assert "batchflow resume" in report.run.why
    books = report.books
    assert books["dead"] == books["canceled"] == books["unbuildable"] == 0


async def resumed(bench, job, *, rows):
    """The account is mended: every row is answered, billed once, at its first attempt."""
    bench.sim.set_faults(FaultPlan())
    report = await bench.run(job)
    bench.check(report, good=rows)
    assert bench.sim.stats()["rows_billed"] == rows
    assert {result.attempt for result in bench.good} == {1}
    return report


@shapes
async def test_a_create_that_the_account_forbids_pauses_the_run_and_resumes_with_every_row(bench, shape):
    bench.simulate(f"create:2+:{shape}")
    job = bench.job(60, rules=rules(max_requests=20), retry=standard(attempts=1))
    report = await bench.run(job)
    paused(report, shape)
    assert report.books["waiting"] + report.books["in_flight"] + report.books["delivered"] == report.books["rows"]
    await resumed(bench, job, rows=60)


@shapes
async def test_a_listing_that_the_account_forbids_pauses_the_run_and_resumes_with_every_row(bench, shape):
    bench.simulate(f"list+retrieve:3+:{shape}", duration=120.0)
    job = bench.job(20, retry=standard(attempts=1))
    report = await bench.run(job)
    paused(report, shape)
    assert report.books["in_flight"] == 20
    await resumed(bench, job, rows=20)
    assert bench.sim.stats()["creates"] == 1


@shapes
async def test_a_download_that_the_account_forbids_pauses_the_run_and_resumes_with_every_row(bench, shape):
    bench.simulate(f"results::{shape}")
    job = bench.job(20, retry=standard(attempts=1))
    report = await bench.run(job)
    paused(report, shape)
    assert report.books["in_flight"] == 20
    await resumed(bench, job, rows=20)
    assert bench.sim.stats()["creates"] == 1


@shapes
async def test_a_doubt_that_the_account_forbids_to_look_into_keeps_the_batch_and_pays_once(bench, shape):
    bench.simulate("create:1:reset_after", f"list:2+:{shape}")
    job = bench.job(20, rules=rules(grace=5.0), retry=standard(attempts=1))
    paused(await bench.run(job), shape)
    await resumed(bench, job, rows=20)
    assert bench.sim.stats()["creates"] == 1


@shapes
async def test_a_cancel_that_the_account_forbids_is_made_when_it_is_mended(bench, shape):
    sim = bench.simulate(f"cancel::{shape}", duration=5000.0, cancel_delay=10.0)
    job = bench.job(20)

    async def operator():
        async with bench.flow() as flow:
            while not (found := await flow.store.find(Batch, {"state": BatchState.RUNNING})):
                await anyio.sleep(0.25)
            await flow.store.commit((Put(Wish(id=uuid7(), run=found[0].run, verb="cancel", at=0.0)),))

    async with anyio.create_task_group() as group:
        group.start_soon(operator)
        report = await bench.run(job)
    paused(report, shape)
    sim.set_faults(FaultPlan())
    report = await bench.run(job)
    assert report.run.state is RunState.CANCELED
    assert report.books["delivered"] + report.books["canceled"] == 20
    assert report.books["delivered"] == sim.stats()["rows_billed"]


@pytest.mark.parametrize(("word", "shape"), [("credit", "credit"), ("permission", "revoked")])
async def test_rows_that_the_account_forbids_wait_while_the_answered_ones_are_delivered(bench, word, shape):
    """An empty balance shows as `invalid_request_error` in the results: the type of a dead letter, and it is none."""
    bench.simulate(f"row:50%:{word}")
    job = bench.job(40, retry=standard(attempts=1))
    report = await bench.run(job)
    assert (report.run.state, report.run.word) == (RunState.PAUSED, SHAPES[shape][0])
    assert "batchflow resume" in report.run.why
    books = report.books
    assert books["dead"] == 0
    assert books["waiting"] + len(bench.good) == 40
    assert 0 < books["waiting"] < 40
    await resumed(bench, job, rows=40)


async def test_a_balance_that_stays_empty_burns_no_attempt_however_often_it_is_resumed(bench):
    bench.simulate("row:number 3:credit,times=3")
    job = bench.job(10, retry=standard(attempts=1))
    for _ in range(3):
        report = await bench.run(job)
        assert (report.run.state, report.run.word) == (RunState.PAUSED, Word.NO_CREDIT)
        assert (report.books["waiting"], report.books["dead"]) == (1, 0)
    report = await bench.run(job)
    bench.check(report, good=10)
    assert {result.attempt for result in bench.good} == {1}
    assert bench.sim.stats()["rows_billed"] == 10


async def test_other_batches_come_home_before_a_run_rests_in_its_pause(bench):
    """What is in flight when the balance runs dry is paid for: it is collected when the run is resumed, not asked again."""
    bench.simulate("create:3+:credit", duration=600.0)
    job = bench.job(80, rules=rules(max_requests=20), retry=standard(attempts=1))
    report = await bench.run(job)
    paused(report, "credit")
    flying = report.books["in_flight"]
    accepted = bench.sim.stats()["requests_accepted"]
    assert flying <= accepted < 80
    await resumed(bench, job, rows=80)
    assert bench.sim.stats()["requests_accepted"] == 80


DISABLED = "create::status,status=400,type=invalid_request_error,message=This organization has been disabled."
SPENT = "create::status,status=429,type=rate_limit_error,message=This would exceed your account's monthly spend limit."


@pytest.mark.parametrize(("fault", "word"), [(DISABLED, Word.UNAUTHORIZED), (SPENT, Word.NO_CREDIT)])
async def test_money_troubles_without_a_code_are_known_by_what_they_say(bench, fault, word):
    """By its type the first would make every row a dead letter, and the second be waited for until next month."""
    bench.simulate(fault)
    job = bench.job(20, retry=standard(attempts=1))
    report = await bench.run(job)
    assert (report.run.state, report.run.word) == (RunState.PAUSED, word)
    assert (report.books["waiting"], report.books["dead"]) == (20, 0)
    await resumed(bench, job, rows=20)
