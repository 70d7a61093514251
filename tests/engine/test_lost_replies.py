"""Replies to create calls get lost in every way a network knows, and nothing is ever paid twice."""

import anyio
import pytest
from bench import rules
from schedules import Schedule
from virtual import no_threads

from batchflow.builtin.stores.memory import memory_blobs, memory_state
from batchflow.model.state import Batch, BatchState, Entry, Intent, IntentState, RunState
from batchflow.stages import poll
from batchflow.stages.twins import watch

BRIEF = 5.0
"""A grace for tests in which it must pass; the others have the usual ten minutes, which never pass in them."""

LOST = [
    "create:1:reset_after",
    "create:1:status_after,status=500",
    "create:1:status_after,status=504,body=html",
    "create:1:status_after,status=529",
    "create:1:status_after,status=408",
    "create:1:status_after,status=409",
    "create:1:status_after,status=499,body=empty",
    "create:1:status_after,status=302",
    "create:1:status_after,status=200,body=empty",
    "create:1:status_after,status=200,body=html",
]


@pytest.mark.parametrize("fault", LOST)
async def test_a_batch_whose_reply_was_lost_is_found_and_not_sent_again(bench, fault):
    bench.simulate(fault)
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)
    assert bench.sim.stats()["creates"] == 1
    assert bench.told("batch.resolved.running")


async def test_a_reply_that_takes_too_long_is_a_lost_one(bench):
    bench.simulate("create:1:slow,seconds=30,when=after")
    report = await bench.run(bench.job(20, rules=rules(timeout=0.4)))
    bench.check(report, asked=20, good=20)


async def test_every_reply_is_lost(bench):
    bench.simulate("create::reset_after")
    report = await bench.run(bench.job(60, rules=rules(max_requests=20)))
    bench.check(report, asked=60, good=60)


async def test_ten_look_alikes_do_not_mislead_it(bench):
    bench.simulate("create:1:lookalike,rows=10", "create:1:reset_after")
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)
    foreign = [batch for batch in bench.sim.batches if batch.fate.foreign]
    assert len(foreign) == 10
    assert all(batch.cancel_at is None for batch in foreign)


async def test_a_look_alike_that_was_taken_by_its_count_is_given_back(bench):
    bench.simulate("create:1:unlisted,seconds=90", "create:1:lookalike", "create:1:reset_after")
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)
    assert bench.told("batch.disowned")


async def test_look_alikes_of_a_batch_that_was_never_created_do_not_keep_it_for_ever(bench):
    bench.simulate("create:1:lookalike,rows=3", "create:2:status,status=500")
    await bench.run(bench.job(20, name="first"))
    bench.good.clear()
    report = await bench.run(bench.job(20, name="second", rules=rules(grace=BRIEF)))
    bench.check(report, asked=40, good=20)
    assert bench.sim.stats()["creates"] == 3


@pytest.mark.parametrize(
    "fault", ["create:1:reset_before", "create:1:reset_before,at_byte=2000", "create:1:status,status=503"]
)
async def test_what_was_never_created_is_sent_once_more_after_the_grace(bench, fault):
    bench.simulate(fault)
    report = await bench.run(bench.job(20, rules=rules(grace=20.0)))
    bench.check(report, asked=20, good=20)
    stats = bench.sim.stats()
    assert (stats["creates"], stats["batches_created"]) == (2, 1)
    doubt, absent = bench.told("batch.in_doubt")[0], bench.told("batch.resolved.drafted")[0]
    assert absent.at - doubt.at >= 20.0


async def test_on_absent_hold_leaves_the_decision_to_a_person(bench):
    bench.simulate("create:1:status,status=500")
    report = await bench.run(bench.job(20, rules=rules(grace=BRIEF, on_absent="hold")))
    assert report.run.state is RunState.PAUSED
    assert "held" in report.run.why
    assert bench.sim.stats()["requests_accepted"] == 0
    assert report.books["in_flight"] == 20
    again = await bench.run(bench.job(20, rules=rules(grace=BRIEF, on_absent="hold")))
    assert again.run.state is RunState.PAUSED
    assert bench.sim.stats()["creates"] == 1


async def test_a_listing_that_omits_the_batch_for_a_while_does_not_make_it_absent(bench):
    bench.simulate("create:1:reset_after", "list:2+3+4+5+6+7+8+9:omit")
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)


async def test_a_candidate_that_leaves_the_listing_again_is_not_forgotten(bench):
    bench.simulate(
        "create:1:lookalike", "create:1:duration,seconds=1200", "create:1:reset_after", "list:3+:omit,rows=5"
    )
    report = await bench.run(bench.job(20, rules=rules(grace=BRIEF)))
    bench.check(report, asked=20, good=20)


async def test_a_torn_or_foreign_first_line_does_not_disown_a_paid_batch(bench):
    bench.simulate("create:1:lookalike", "create:1:reset_after", "results:1+2+3+4:malformed_rows,rows=2")
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)


async def test_foreign_lines_do_not_make_an_adopted_batch_foreign(bench):
    bench.simulate("create:1:reset_after", "results::foreign_rows,rows=3")
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)
    assert bench.told("batch.odd_lines")


async def test_counts_that_cannot_be_true_do_not_make_a_batch_absent(bench):
    bench.simulate("create:1:reset_after", "list::lying_counts", "create:1:duration,seconds=600")
    report = await bench.run(bench.job(20, rules=rules(grace=BRIEF)))
    bench.check(report, asked=20, good=20)


async def test_nulls_left_out_do_not_make_a_batch_absent(bench):
    bench.simulate("create:1:reset_after", "all::omit_nulls", "all::no_request_id")
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)


async def test_two_runs_of_the_same_size_find_each_its_own(bench):
    bench.simulate("create::reset_after")
    one = await bench.run(bench.job(20, name="one"), wait=0.0)
    two = await bench.run(bench.job(20, name="two"))
    bench.check(two, asked=40, good=20)
    one = await bench.run(bench.job(20, name="one"))
    assert one.run.state is RunState.DONE
    assert len(bench.good) == 40


async def test_a_late_twin_is_stopped_joined_and_booked(bench):
    """The residual risk: swallowed for longer than the grace. The twin is found by its token; what it cost is waste."""
    bench.simulate("create:1:late,seconds=900", "create:2:duration,seconds=3000")
    report = await bench.run(bench.job(20, rules=rules(grace=BRIEF)))
    bench.check(report, good=20)
    stats = bench.sim.stats()
    assert stats["batches_created"] == 2
    assert stats["cancels"] == 1
    assert bench.told("batch.twin")
    second = stats["rows_billed"] - 20
    assert (report.books["waste"] > 0) == (second > 0)
    assert report.books["twice"] == report.books["waste"]


async def test_a_twin_that_comes_after_its_batch_was_collected_is_booked_as_waste(bench):
    bench.simulate("create:1:late,seconds=900", "create:1+2+3:duration,seconds=10", "create:4:duration,seconds=2400")
    job = bench.job(30, rules=rules(grace=BRIEF, max_requests=10, in_flight=1))
    report = await bench.run(job)
    bench.check(report, good=30)
    assert bench.told("batch.twin")
    assert report.books["waste"] == report.books["twice"] > 0
    assert report.books["paid"] > report.books["waste"]


@pytest.mark.parametrize("first_met", ["in the listing", "in its results"])
async def test_a_call_made_since_is_watched_when_an_earlier_one_of_the_same_batch_turns_up(
    bench, monkeypatch, first_met
):
    """Two calls for the same rows, both swallowed. The first batch is taken by its count for what the second call made."""

    async def looking_away(*given):
        if first_met == "in the listing" or bench.told("batch.disowned"):
            await watch(*given)

    monkeypatch.setattr(poll, "watch", looking_away)
    bench.simulate(
        "create:1:late,seconds=900", "create:1:duration,seconds=200", "create:2:duration,seconds=4500",
        "create:3:late,seconds=3000", "create:3:duration,seconds=10",
    )  # fmt: skip
    report = await bench.run(bench.job(15, rules=rules(max_requests=10)))
    bench.check(report, good=15)
    billed = bench.sim.stats()["rows_billed"]
    assert billed > 15
    assert bench.told("batch.disowned")
    assert bench.told("batch.twin")
    assert report.books["twice"] == report.books["waste"] > 0
    async with bench.flow() as flow:
        settled = await flow.store.find(Entry, {"run": report.run.id, "kind": "settle"})
    assert sum(entry.rows for entry in settled) == billed


async def test_batches_of_an_abandoned_run_do_not_block_others(bench):
    """Held in another run, with the same count: nobody should wait for it."""
    bench.simulate("create:1:status,status=500")
    held = await bench.run(bench.job(20, name="held", rules=rules(grace=BRIEF, on_absent="hold")))
    assert held.run.state is RunState.PAUSED
    report = await bench.run(bench.job(20, name="other"))
    bench.check(report, asked=20, good=20)


async def test_the_intent_is_settled_once_its_batch_is_known(bench):
    bench.simulate("create:1:reset_after")
    report = await bench.run(bench.job(20))
    async with bench.flow() as flow:
        (intent,) = await flow.store.find(Intent, {"run": report.run.id})
        (batch,) = await flow.store.find(Batch, {"run": report.run.id})
    assert (intent.state, batch.state, batch.proven) == (IntentState.ACCEPTED, BatchState.DELIVERED, True)


def test_nothing_is_sent_beside_a_lost_batch_of_the_same_size_though_it_has_been_lost_for_hours(tmp_path):
    """A listing that is out of order, and a clock that jumps: the schedule looks at every create call that arrives."""
    with no_threads():
        schedule = Schedule(tmp_path, seed=1, rows=9, most=4, flying=2, words=[])
        schedule.fault("create:1:status_after,status=500")
        schedule.fault("list:2+:status,status=500,count=8")
        schedule.go(1.0)
        schedule.wall(2 * 3600.0)
        schedule.go(20.0)
        schedule.finish()
        schedule.close()


async def test_batches_from_before_the_call_are_no_candidates(bench):
    """A workspace is full of other people's batches, and some have our size: nobody downloads them to look for a token."""
    bench.simulate("create:3:reset_after")
    for rows in (20, 7):
        await bench.run(bench.job(rows), store=memory_state(), blobs=memory_blobs())
        await anyio.sleep(900.0)  # more than the slack that is given to clocks
    theirs = {batch.id for batch in bench.sim.batches}
    before = len(bench.sim.calls)
    bench.good.clear()
    report = await bench.run(bench.job(20))
    bench.check(report, asked=47, good=20)
    fetched = [heard.path for heard in bench.sim.calls[before:] if heard.endpoint == "results"]
    assert len(fetched) == 1
    assert not any(id in path for id in theirs for path in fetched)
