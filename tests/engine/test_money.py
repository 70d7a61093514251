"""Budgets, the ledger, and whose account is used."""

import anyio
import msgspec
import pytest
from bench import every, rules

from batchflow.machine.ruling import GiveUp
from batchflow.model.errors import RunRefused
from batchflow.model.money import DOLLAR
from batchflow.model.state import Batch, BatchState, Entry, Intent, RunState
from batchflow.model.units import Secret
from batchflow.sim import FaultPlan


async def reservation(bench, count):
    """What a batch of so many of our records reserves."""
    async with bench.flow() as flow:
        batches = await every(flow.store, Batch, {})
    return max(batch.reserved for batch in batches) * count // max(batch.count for batch in batches)


async def test_a_budget_that_is_large_enough_stops_nobody(bench):
    bench.simulate()
    report = await bench.run(bench.job(60, rules=rules(max_requests=20, budget=DOLLAR)))
    bench.check(report, asked=60, good=60)
    assert 0 < report.books["paid"] < DOLLAR
    assert report.books["paid"] * 2 == pytest.approx(report.books["listed"], rel=0.01)


async def test_batches_wait_for_what_others_have_reserved(bench):
    """Room for one batch's reservation and all answers: each batch waits until the one before is settled."""
    bench.simulate(duration=120.0)
    await bench.run(bench.job(20, name="probe", rules=rules(max_requests=20)))
    one = await reservation(bench, 20)
    bench.good.clear()
    before = bench.sim.stats()["requests_accepted"]
    report = await bench.run(bench.job(60, rules=rules(max_requests=20, budget=int(one * 1.9))))
    bench.check(report, good=60)
    assert bench.sim.stats()["requests_accepted"] - before == 60
    assert report.books["paid"] <= one * 1.9


async def test_a_budget_that_is_used_up_pauses_and_a_larger_one_goes_on(bench):
    bench.simulate()
    await bench.run(bench.job(20, name="probe", rules=rules(max_requests=20)))
    one = await reservation(bench, 20)
    bench.good.clear()
    report = await bench.run(bench.job(200, rules=rules(max_requests=20, budget=int(one * 1.2))))
    assert report.run.state is RunState.PAUSED
    assert "budget" in report.run.why
    assert report.books["paid"] + report.books["reserved"] <= one * 1.2
    report = await bench.run(bench.job(200, rules=rules(max_requests=20, budget=DOLLAR)))
    bench.check(report, good=200)


def mostly_known(record):
    """A request to a model of a known price, but for one record."""
    model = "brand-new" if record["id"] == "k30" else "claude-haiku-4-5"
    return {"model": model, "max_tokens": 300, "messages": [{"role": "user", "content": "Hello"}]}


async def test_a_model_of_no_known_price_pauses_a_run_with_a_budget_when_all_that_was_sent_has_come_home(bench):
    bench.simulate()
    small = rules(max_requests=10, budget=DOLLAR)
    for _ in range(2):  # going on changes nothing, and pays for nothing twice
        report = await bench.run(bench.job(60, request=mostly_known, rules=small))
        assert report.run.state is RunState.PAUSED
        assert "no price is known for model `brand-new`, so the budget" in report.run.why
        assert report.books["in_flight"] == report.books["collected"] == report.books["reserved"] == 0
        assert report.books["delivered"] == report.books["rows"] == len(bench.good) > 0
    assert bench.sim.stats()["requests_accepted"] == report.books["delivered"] <= 30
    report = await bench.run(bench.job(60, request=mostly_known, rules=rules(max_requests=10)))
    bench.check(report, good=59, dead=1)  # the simulator knows no such model either


class Nameless:
    """Answers of a gateway that does not say which model wrote them."""

    def __init__(self, provider):
        self._provider = provider

    def __getattr__(self, name):
        return getattr(self._provider, name)

    def skim(self, lines):
        return [msgspec.structs.replace(answer, model="") for answer in self._provider.skim(lines)]

    def read(self, lines):
        return [msgspec.structs.replace(answer, model="") for answer in self._provider.read(lines)]


async def test_what_a_sink_is_told_of_an_answer_that_names_no_model_is_what_was_booked_for_it(bench):
    bench.simulate("row:number 1:max_tokens")
    report = await bench.run(bench.job(20), provider=Nameless(bench.provider()))
    assert 0 < sum(result.cost for result in [*bench.good, *bench.dead]) == report.books["paid"] - report.books["waste"]
    assert sum(result.list_cost for result in [*bench.good, *bench.dead]) > 0


async def test_a_budget_holds_though_no_answer_names_a_model_that_is_known(bench):
    bench.simulate()
    await bench.run(bench.job(20, name="probe", rules=rules(max_requests=20)))
    one = await reservation(bench, 20)
    bench.good.clear()
    job = bench.job(200, rules=rules(max_requests=20, budget=int(one * 2.5)))
    report = await bench.run(job, provider=Nameless(bench.provider()))
    assert report.run.state is RunState.PAUSED
    assert 0 < report.books["paid"] <= one * 2.5
    assert "as the most that was reserved" in bench.told("batch.unpriced")[0].text


async def test_a_held_batch_does_not_make_the_budget_wait_for_ever(bench):
    bench.simulate("create:1:status,status=500")
    await bench.run(bench.job(20, name="job", rules=rules(max_requests=20, grace=5.0, on_absent="hold", budget=1)))
    report = await bench.run(bench.job(20, rules=rules(max_requests=20, budget=1)))
    assert report.run.state is RunState.PAUSED


async def test_the_ledger_is_what_the_books_say(bench):
    bench.simulate("row:number 1:max_tokens", "row:number 2:pause_turn")
    report = await bench.run(bench.job(40, rules=rules(max_requests=10)))
    async with bench.flow() as flow:
        entries = await every(flow.store, Entry, {"run": report.run.id})
    assert sum(entry.paid for entry in entries if entry.kind == "settle") == report.books["paid"]
    assert sum(entry.paid for entry in entries if entry.kind == "waste") == report.books["waste"] > 0
    assert sum(entry.rows for entry in entries if entry.kind == "settle") == bench.sim.stats()["rows_billed"]
    assert sum(result.cost for result in [*bench.good, *bench.dead]) == report.books["paid"] - report.books["waste"]


KEYS = {"one": "org/a", "also-one": "org/a", "two": "org/b"}


def key(bench, name, **options):
    return bench.provider(api_key=Secret(name), **options)


async def run_as_another(bench, job, name="two", **options):
    """Run a job with a key that must not go on: whoever asks again and again is not answered for ever, so nothing hangs."""
    bench.sim.set_faults(FaultPlan.parse(["list:30+:status,status=503"]))
    try:
        return await bench.run(job, provider=key(bench, name, **options))
    finally:
        bench.sim.set_faults(FaultPlan())


async def test_batches_in_flight_are_not_touched_with_another_accounts_key(bench):
    bench.simulate(keys=KEYS, duration=600.0)
    await bench.run(bench.job(20), provider=key(bench, "one"), wait=0.0)
    before = bench.sim.stats()["calls"].copy()
    with pytest.raises(RunRefused, match="another key"):
        await bench.run(bench.job(20), provider=key(bench, "two"))
    calls = bench.sim.stats()["calls"]
    assert {name for name in calls if calls[name] != before.get(name, 0)} == {"list"}
    report = await bench.run(bench.job(20), provider=key(bench, "one"))
    bench.check(report, asked=20, good=20)


async def test_another_key_of_the_same_workspace_goes_on(bench):
    bench.simulate(keys=KEYS, duration=600.0)
    await bench.run(bench.job(20), provider=key(bench, "one"), wait=0.0)
    report = await bench.run(bench.job(20), provider=key(bench, "also-one"))
    bench.check(report, asked=20, good=20)


async def test_a_lost_batch_is_never_sent_again_under_another_account(bench):
    sim = bench.simulate("create:1:reset_after", "list:2+:status,status=503", keys=KEYS)
    job = bench.job(20, rules=rules(grace=5.0, patience=3.0))
    report = await bench.run(job, provider=key(bench, "one"))
    assert report.run.state is RunState.PAUSED
    report = await run_as_another(bench, job)
    assert report.run.state is RunState.PAUSED
    assert "another key" in report.run.why
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {})
        (intent,) = await flow.store.find(Intent, {})
    assert batch.state is BatchState.HELD
    assert intent.batch == batch.id
    assert sim.stats()["creates"] == 1
    bench.check(await bench.run(job, provider=key(bench, "one")), asked=20, good=20)


async def test_a_lost_batch_is_found_with_another_key_of_the_same_workspace(bench):
    sim = bench.simulate("create:1:reset_after", "list:2+:status,status=503", keys=KEYS)
    job = bench.job(20, rules=rules(grace=5.0, patience=3.0))
    assert (await bench.run(job, provider=key(bench, "one"))).run.state is RunState.PAUSED
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(job, provider=key(bench, "also-one")), asked=20, good=20)


async def test_one_key_with_another_workspace_is_another_account(bench):
    """Its listing shows nothing of ours: taking that for absence would pay twice."""
    sim = bench.simulate("create:1:reset_after", "list:2+:status,status=503", keys=KEYS)
    job = bench.job(20, rules=rules(grace=5.0, patience=3.0))
    assert (await bench.run(job, provider=key(bench, "one"))).run.state is RunState.PAUSED
    report = await run_as_another(bench, job, "one", workspace_id="b")
    assert report.run.state is RunState.PAUSED
    assert "another key" in report.run.why
    assert sim.stats()["creates"] == 1


async def test_a_call_that_died_with_its_process_is_held_under_another_accounts_key_and_never_paid_again(bench):
    """The very first POST: no reply ever told whose account it was, so a listing of another key proves nothing."""
    sim = bench.simulate("create:1:slow,seconds=5,when=after", keys=KEYS)
    job = bench.job(20, rules=rules(grace=5.0))
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: bench.run(job, provider=key(bench, "one")))
        while sim.stats()["requests_accepted"] == 0:
            await anyio.sleep(0.25)
        group.cancel_scope.cancel()
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {})
    assert batch.state is BatchState.SUBMITTING
    for _ in range(2):
        report = await run_as_another(bench, job)
        assert report.run.state is RunState.PAUSED
        assert "another key" in report.run.why
    assert (sim.stats()["creates"], sim.stats()["cancels"]) == (1, 0)
    bench.check(await bench.run(job, provider=key(bench, "one")), asked=20, good=20)


async def test_nothing_of_a_run_is_sent_under_another_account_while_a_lost_batch_is_held(bench):
    """What was never sent waits too: work in flight is resumed with another key by touching nothing."""
    sim = bench.simulate("create:1:reset_after", "list:2+:status,status=503", keys=KEYS)
    job = bench.job(60, rules=rules(max_requests=20, grace=5.0, patience=3.0, in_flight=1))
    assert (await bench.run(job, provider=key(bench, "one"))).run.state is RunState.PAUSED
    lost = sim.stats()["requests_accepted"]
    for _ in range(2):
        report = await run_as_another(bench, job)
        assert report.run.state is RunState.PAUSED
        assert "another key" in report.run.why
        assert "nothing of this run is sent with it" in report.run.why
        assert (sim.stats()["creates"], sim.stats()["requests_accepted"]) == (1, lost)
    bench.check(await bench.run(job, provider=key(bench, "one")), asked=60, good=60)


async def test_a_run_killed_in_its_first_call_sends_none_of_its_many_rows_under_another_account(bench):
    """Whatever is read and packed beside the lost batch."""
    sim = bench.simulate("create:1:slow,seconds=5,when=after", keys=KEYS)
    job = bench.job(200, rules=rules(max_requests=20, grace=5.0, in_flight=1))
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: bench.run(job, provider=key(bench, "one")))
        while sim.stats()["requests_accepted"] == 0:
            await anyio.sleep(0.25)
        group.cancel_scope.cancel()
    report = await run_as_another(bench, bench.job(200, rules=rules(max_requests=20, grace=5.0)))
    assert report.run.state is RunState.PAUSED
    assert "nothing of this run is sent with it" in report.run.why
    assert sim.stats()["creates"] == 1
    bench.check(await bench.run(job, provider=key(bench, "one")), asked=200, good=200)


async def test_the_word_about_a_lost_batch_lets_a_run_go_on_under_another_account(bench):
    bench.simulate("create:1:reset_after", "list:2+:status,status=503", keys=KEYS)
    job = bench.job(60, rules=rules(max_requests=20, grace=5.0, patience=3.0, in_flight=1))
    assert (await bench.run(job, provider=key(bench, "one"))).run.state is RunState.PAUSED
    report = await run_as_another(bench, job)
    async with bench.flow(provider=key(bench, "two")) as flow:
        [batch] = await flow.store.find(Batch, {"state": BatchState.HELD})
        assert f"`batchflow reconcile {report.run.id[:16]} --give-up {batch.id[:16]}`" in report.run.why
        assert (await flow.reconcile(job, report.run, [GiveUp(batch.id, batch.token)])).said[0].done
    report = await bench.run(job, provider=key(bench, "two"))
    bench.check(report, asked=60, good=60 - batch.count, dead=batch.count)
