"""Results arrive late, short, torn, twice, and in every dress; each row comes out once."""

import pytest
from bench import rules

from batchflow.model.state import RunState
from batchflow.model.words import Word
from batchflow.sim import FaultPlan

ODD = [
    "results::blank_lines",
    "results::crlf",
    "results::no_final_newline",
    "results::gzip",
    "results::u2028,rows=5",
    "results::duplicate_rows,rows=7",
    "results::foreign_rows,rows=7",
    "results::long_line,megabytes=3",
    "retrieve+list::results_url,value=http://127.0.0.1:9",
    "retrieve+list::results_url,value=absent",
    "retrieve+list:1+2+3:unknown_status",
    "retrieve+list::gradual_counts",
    "retrieve+list::lying_counts",
    "all::omit_nulls",
    "all::no_request_id",
    "clock:3600",
    "clock:-3600",
]


@pytest.mark.parametrize("fault", ODD)
async def test_odd_but_whole_results_are_delivered_at_the_first_try(bench, fault):
    bench.simulate(fault)
    report = await bench.run(bench.job(30))
    bench.check(report, asked=30, good=30)
    assert bench.sim.stats()["downloads"] == 1


BROKEN = [
    "results:1+2:truncate",
    "results:1+2:truncate,framing=length",
    "results:1+2:truncate,framing=close",
    "results:1+2:truncate,framing=close,rows=3",
    "results:1+2:truncate,framing=close,at_byte=0",
    "results:1+2:reset_body",
    "results:1+2:missing_rows,rows=4",
    "results:1+2:malformed_rows,rows=4",
    "results:1+2:status,status=404",
    "results:1+2:status,status=500",
    "results:1+2:status,status=529,retry_after=2",
    "results:1+2:status,status=429",
    "results:1+2:reset_before",
    "retrieve::fresh_404,limit=3",
    "list:2+3+4:omit,rows=3",
    "create:1:hidden,seconds=60",
    "create:1:unlisted",
]


@pytest.mark.parametrize("fault", BROKEN)
async def test_broken_results_are_fetched_again_until_they_are_whole(bench, fault):
    bench.simulate(fault)
    report = await bench.run(bench.job(30))
    bench.check(report, asked=30, good=30)
    assert report.books["waste"] == 0


async def test_results_that_stay_short_are_held_and_paid_for_once(bench):
    sim = bench.simulate("results::missing_rows,rows=4")
    report = await bench.run(bench.job(30))
    assert report.run.state is RunState.PAUSED
    assert "4 of 30 rows have no result line" in report.run.why
    assert report.books["in_flight"] == 30
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(bench.job(30)), asked=30, good=30)


async def test_a_result_that_nobody_knows_is_asked_again(bench):
    bench.simulate("results:1:unknown_result,rows=2")
    report = await bench.run(bench.job(30))
    bench.check(report, asked=32, good=30)


async def test_flat_errors_are_errors_too(bench):
    bench.simulate("results::flat_errors", "row:number 7:overloaded", "row:number 8:invalid")
    report = await bench.run(bench.job(10))
    bench.check(report, asked=11, good=9, dead=1)
    assert [(result.key, result.word) for result in bench.dead] == [("k8", Word.INVALID)]


async def test_a_row_that_the_server_lost_is_asked_again_once_its_counts_agree(bench):
    bench.simulate("row:number 7:missing")
    report = await bench.run(bench.job(10))
    bench.check(report, asked=11, good=10)


async def test_a_day_that_was_not_enough_expires_rows_and_asks_them_again(bench):
    sim = bench.simulate("create:1:duration,seconds=172800")
    await bench.run(bench.job(30), wait=0.0)
    sim.clock.advance(24 * 3600)
    report = await bench.run(bench.job(30))
    bench.check(report, good=30)
    stats = bench.sim.stats()
    expired = stats["batches"][0]["counts"]["expired"]
    assert 0 < expired < 30
    assert stats["requests_accepted"] == 30 + expired
    assert report.books["retried"] == expired


async def test_results_that_are_gone_are_held_and_never_asked_again_unasked(bench):
    sim = bench.simulate("list+retrieve:3+:status,status=503", duration=120.0)
    first = await bench.run(bench.job(20, rules=rules(patience=5.0)))
    assert first.run.state is RunState.PAUSED
    sim.set_faults(FaultPlan())
    sim.clock.advance(30 * 24 * 3600)
    report = await bench.run(bench.job(20, rules=rules(patience=5.0)))
    assert report.run.state is RunState.PAUSED
    assert "29 days" in report.run.why
    assert sim.stats()["requests_accepted"] == 20
