"""What an attack from outside found: pauses that raced, waste that was not booked, runs that could not begin anew."""

import msgspec
import pytest
from bench import records, rules

from batchflow.builtin.retry import standard
from batchflow.model.errors import SourceError
from batchflow.model.state import Batch, Run, RunState
from batchflow.model.words import Word


async def test_a_budget_below_one_batch_pauses_the_run_once_and_a_larger_one_finishes_it(bench):
    bench.simulate()
    report = await bench.run(bench.job(300, rules=rules(max_requests=60, budget=1000)))
    assert report.run.state is RunState.PAUSED
    assert "budget" in report.run.why
    assert len(bench.told("run.paused")) == 1
    assert bench.sim.stats()["creates"] == 0
    report = await bench.run(bench.job(300, rules=rules(max_requests=60, budget=10**10)))
    bench.check(report, asked=300, good=300)


async def test_answers_that_a_retry_throws_away_are_booked_as_waste(bench):
    bench.simulate("row:claim number 3:max_tokens,times=1")
    report = await bench.run(bench.job(10))
    bench.check(report, asked=10, good=9, dead=1)
    (cut,) = bench.dead
    assert cut.cost > 0
    again = standard(truncated={"max_tokens": "2x", "ceiling": 2000})
    async with bench.flow(retry=again) as flow:
        report = await flow.retry(bench.job(10), report.run, [Word.TRUNCATED])
        await bench.audit(flow.store, report)
    assert report.books["waste"] == cut.cost
    assert sorted(result.key for result in bench.good) == sorted(record["id"] for record in records(10))


async def test_a_run_that_read_nothing_goes_on_with_a_mended_source(bench):
    bench.simulate()
    strict = msgspec.structs.replace(rules(), on_duplicate="error")
    with pytest.raises(SourceError, match="'k1' comes twice: at row 2 and again at row 4"):
        await bench.run(bench.job([*records(3), *records(1, start=1)], rules=strict))
    report = await bench.run(bench.job(5, rules=rules()))
    bench.check(report, asked=5, good=5)
    async with bench.flow() as flow:
        assert len(await flow.store.find(Run, {})) == 1


async def test_a_batch_that_was_put_off_is_tried_at_once_by_the_next_process(bench):
    """Whoever mended the trouble sits and waits."""
    bench.simulate("create:1:status,status=429,retry_after=3000")
    async with bench.flow(on_event=lambda event: event.kind == "batch.put_off" and flow.stop()) as flow:
        run = (await flow.run(bench.job(5))).run
        (batch,) = await flow.store.find(Batch, {"run": run.id})
    assert batch.wake_at > batch.submitted_at + 100
    bench.check(await bench.run(bench.job(5)), asked=5, good=5)
    async with bench.flow() as flow:
        (done,) = await flow.store.find(Batch, {"run": run.id})
    assert done.submitted_at < batch.wake_at
