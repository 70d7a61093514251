"""The API says no to a create, definitely: whatever it says, nobody pays twice and no row is lost."""

import pytest
from bench import records, rules

from batchflow.builtin.anthropic.provider import anthropic
from batchflow.model.state import RunState
from batchflow.model.units import Secret
from batchflow.model.words import Word
from batchflow.sim import FaultPlan


async def test_an_invalid_batch_makes_its_rows_dead_letters_and_stops_nobody_else(bench):
    bench.simulate("create:1:status,status=400,message=requests.0.params: Field required")
    report = await bench.run(bench.job(60, rules=rules(max_requests=20)))
    bench.check(report, dead=len(bench.dead))
    assert 1 <= len(bench.dead) <= 20
    assert {result.word for result in bench.dead} == {Word.INVALID}
    assert all("Field required" in result.error for result in bench.dead)
    assert bench.sim.stats()["requests_accepted"] == 60 - len(bench.dead)


MONEY = [
    ("create::credit", Word.NO_CREDIT),
    ("create::spend_cap", Word.NO_CREDIT),
    ("create::workspace_limit", Word.NO_CREDIT),
    ("create::revoked", Word.UNAUTHORIZED),
    ("create::on_hold", Word.UNAUTHORIZED),
]


@pytest.mark.parametrize(("fault", "word"), MONEY)
async def test_trouble_with_the_account_pauses_the_run_and_keeps_every_row(bench, fault, word):
    sim = bench.simulate(fault)
    report = await bench.run(bench.job(20))
    assert (report.run.state, report.run.word) == (RunState.PAUSED, word)
    assert report.run.why
    assert report.books["waiting"] == 20
    assert sim.stats()["creates"] == 1
    sim.set_faults(FaultPlan())
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)
    assert {result.attempt for result in bench.good} == {1}


async def test_a_key_that_is_revoked_in_mid_run_loses_nothing(bench):
    sim = bench.simulate("retrieve+list:3+:revoked", duration=120.0)
    report = await bench.run(bench.job(20))
    assert (report.run.state, report.run.word) == (RunState.PAUSED, Word.UNAUTHORIZED)
    assert report.books["in_flight"] == 20
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(bench.job(20)), asked=20, good=20)


async def test_a_key_that_is_revoked_before_the_download_loses_nothing(bench):
    sim = bench.simulate("results::revoked")
    report = await bench.run(bench.job(20))
    assert (report.run.state, report.run.word) == (RunState.PAUSED, Word.UNAUTHORIZED)
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(bench.job(20)), asked=20, good=20)


@pytest.mark.parametrize("wait", ["", ",retry_after=3", ",retry_after=86400,body=html"])
async def test_being_told_to_wait_is_no_reason_to_stop(bench, wait):
    bench.simulate(f"create:1:status,status=429{wait}")
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)
    assert not bench.told("run.paused")


async def test_the_wait_that_was_asked_for_is_kept(bench):
    bench.simulate("create:1:status,status=429,retry_after=40")
    await bench.run(bench.job(20))
    off, sent = bench.told("batch.put_off")[0], bench.told("batch.submitted")[0]
    assert sent.at - off.at >= 40


async def test_a_queue_that_is_full_for_long_does_not_pause_the_run(bench):
    bench.simulate("create::queue_limit,limit=30", duration=600.0, jitter=0.0)
    report = await bench.run(bench.job(60, rules=rules(max_requests=20, patience=20.0)))
    bench.check(report, asked=60, good=60)


async def test_a_batch_with_too_many_requests_is_split(bench):
    bench.simulate("create::max_requests,limit=10")
    report = await bench.run(bench.job(45))
    bench.check(report, asked=45, good=45)
    assert bench.told("batch.split")
    sizes = [batch["requests"] for batch in bench.sim.stats()["batches"]]
    assert max(sizes) <= 10


async def test_a_thousand_requests_a_batch_is_what_some_servers_take(bench):
    bench.simulate("create::max_requests,limit=1000")
    report = await bench.run(bench.job(2500, rules=rules(max_requests=100_000)))
    bench.check(report, asked=2500, good=2500)


@pytest.mark.parametrize("html", [False, True])
async def test_a_body_that_is_too_large_is_sent_in_smaller_ones(bench, html):
    bench.simulate(max_bytes=20_000, html_413=html)
    report = await bench.run(bench.job(200))
    bench.check(report, asked=200, good=200)


async def test_a_single_row_that_is_too_large_dies_alone(bench):
    rows = [*records(10), {"id": "big", "text": "x" * 30_000}, *records(10, start=10)]
    bench.simulate(max_bytes=20_000)
    report = await bench.run(bench.job(rows))
    bench.check(report, good=20, dead=1)
    assert [(result.key, result.word) for result in bench.dead] == [("big", Word.TOO_LARGE)]


async def test_nothing_that_left_is_put_off_without_doubt(bench):
    """Nobody listens at the address: no byte left, so there is nothing to look for."""
    nobody = anthropic(api_key=Secret("k"), base_url="http://127.0.0.1:9")
    report = await bench.run(bench.job(20, rules=rules(patience=3.0)), provider=nobody)
    assert report.run.state is RunState.PAUSED
    assert not bench.told("batch.in_doubt")


@pytest.mark.parametrize("status", [500, 502, 503, 529])
async def test_an_api_that_is_ill_for_a_while_is_waited_for(bench, status):
    bench.simulate(f"list+retrieve+results:1+2+3+4:status,status={status}")
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)
    # Told once when it begins and once when it is over, whatever was asked: not once per failure.
    kinds = [event.kind for event in bench.events if event.kind.startswith("provider.")]
    assert kinds == ["provider.failing", "provider.recovered"] * (len(kinds) // 2)
    assert len(kinds) in {2, 4}
    assert str(status) in bench.told("provider.failing")[0].text


async def test_a_provider_that_cannot_be_reached_is_told_of_long_before_the_run_pauses(bench):
    bench.simulate("list+retrieve:1+:status,status=503")
    report = await bench.run(bench.job(20, rules=rules(patience=20.0)))
    assert report.run.state is RunState.PAUSED
    told = [event.kind for event in bench.events]
    assert told.count("provider.failing") == 1
    assert told.index("provider.failing") < told.index("run.paused")
    assert "provider.recovered" not in told


async def test_an_api_that_stays_ill_pauses_the_run_with_everything_kept(bench):
    sim = bench.simulate("list+retrieve:5+:status,status=503", duration=600.0)
    report = await bench.run(bench.job(20, rules=rules(patience=20.0)))
    assert report.run.state is RunState.PAUSED
    assert report.books["in_flight"] == 20
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(bench.job(20, rules=rules(patience=20.0))), asked=20, good=20)


async def test_the_create_is_redirected_and_not_followed(bench):
    bench.simulate("create:1:redirect,value=http://127.0.0.1:9/elsewhere")
    report = await bench.run(bench.job(20, rules=rules(grace=5.0)))
    bench.check(report, asked=20, good=20)
