"""What the other tests of lies leave out: every refusal at every call, and several lies at once. Each row comes once."""

import asyncio

import anyio
import pytest
from bench import rules
from jumping import LoopClock

from batchflow.builtin.stores.memory import memory_blobs, memory_state
from batchflow.engine.ids import uuid7
from batchflow.engine.lease import TTL
from batchflow.model.change import Put
from batchflow.model.state import Batch, BatchState, RunState, Wish

STATUSES = [408, 409, 429, 500, 503, 504, 529]
REFUSALS = [f"status={status}{dress}" for status in STATUSES for dress in ("", ",retry_after=3,body=html")]
REFUSALS += ["status=429,retry_after=86400"]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_any_refusal_at_any_call_is_got_over_and_paid_once(bench, refusal):
    calls = ("create:1", "list:2+3", "retrieve:1+2", "results:1+2")
    bench.simulate(*(f"{call}:status,{refusal}" for call in calls))
    report = await bench.run(bench.job(20, rules=rules(grace=5.0, patience=3000.0)))
    bench.check(report, asked=20, good=20)
    assert report.books["waste"] == 0
    refused = {heard.endpoint for heard in bench.sim.calls if heard.status and heard.status >= 400}
    assert refused >= {"create", "list", "results"}


AN_HOUR = 3600.0


async def cancel_half_way(bench):
    """Somebody types `batchflow cancel` when about half of the rows are answered."""
    async with bench.flow() as flow:
        while not (found := await flow.store.find(Batch, {"state": BatchState.RUNNING}, limit=1)):
            await anyio.sleep(0.25)
        await anyio.sleep(AN_HOUR / 2)
        await flow.store.commit((Put(Wish(id=uuid7(), run=found[0].run, verb="cancel", at=0.0)),))


@pytest.mark.parametrize("looked_up", [False, True], ids=["listed", "looked-up"])
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_cancel_gets_over_any_refusal_reaches_the_provider_and_keeps_what_was_answered(
    bench, refusal, looked_up
):
    """Where the listing shows nothing, each look at the batch is a retrieve, and is refused as well."""
    unlisted = ["list::omit,rows=9", f"retrieve:1+2:status,{refusal}"] if looked_up else []
    bench.simulate(f"cancel:1+2:status,{refusal}", *unlisted, duration=AN_HOUR, jitter=0.0)
    async with anyio.create_task_group() as group:
        group.start_soon(cancel_half_way, bench)
        report = await bench.run(bench.job(40, rules=rules(patience=3000.0)))
    status = int(refusal[7:10])
    assert [heard.status for heard in bench.sim.calls if heard.endpoint == "cancel"] == [status, status, 200]
    looks = [heard.status for heard in bench.sim.calls if heard.endpoint == "retrieve"]
    assert not looked_up or looks[:2] == [status, status]
    assert report.run.state is RunState.CANCELED
    books, stats = report.books, bench.sim.stats()
    assert books["delivered"] + books["canceled"] == books["rows"] == stats["requests_accepted"] == 40
    assert 0 < len(bench.good) == books["delivered"] == stats["rows_billed"] < 40
    assert {result.key for result in bench.good}.isdisjoint(result.key for result in bench.dead)
    assert (stats["creates"], books["waste"]) == (1, 0)


@pytest.mark.parametrize("offset", [-3600, 3600])
@pytest.mark.parametrize("lost", ["reset_after", "status_after,status=504,body=html"])
async def test_a_lost_reply_is_found_though_the_servers_clock_is_an_hour_off(bench, offset, lost):
    bench.simulate(f"clock:{offset}", f"create:1:{lost}")
    report = await bench.run(bench.job(20))
    bench.check(report, asked=20, good=20)
    assert bench.sim.stats()["creates"] == 1


async def test_two_lost_batches_of_one_size_of_which_one_is_listed_find_each_its_own(bench):
    bench.simulate("create::reset_after", "create:1:unlisted,seconds=600")
    await bench.run(bench.job(20, name="one"), wait=0.0)
    two = await bench.run(bench.job(20, name="two"))
    bench.check(two, asked=40, good=20)
    one = await bench.run(bench.job(20, name="one"))
    assert one.run.state is RunState.DONE
    assert len(bench.good) == 40
    assert bench.sim.stats()["creates"] == 2


async def test_a_listing_that_omits_a_batch_for_longer_than_the_grace_is_noticed_and_booked(bench):
    """The residual risk: the twin is found by its token, and what it cost is waste."""
    bench.simulate("create:1:unlisted,seconds=300", "create:1:reset_after", "create:2:duration,seconds=3000")
    report = await bench.run(bench.job(20, rules=rules(grace=5.0)))
    bench.check(report, good=20)
    assert bench.told("batch.twin")
    assert (report.books["waste"] > 0) == (bench.sim.stats()["rows_billed"] > 20)


async def test_a_line_of_fifty_megabytes_is_a_result_like_any_other(bench):
    bench.simulate("results::long_line,megabytes=50,rows=1")
    report = await bench.run(bench.job(5))
    bench.check(report, asked=5, good=5)
    assert max(len(result.text) for result in bench.good) > 49_000_000


async def test_a_batch_that_never_ends_is_waited_for_and_never_sent_again(bench):
    """Days after it should have ended its rows may be paid for any minute; what can be done is told once."""
    bench.simulate("create:1:never_ends")
    loop = asyncio.get_running_loop()
    clock, night = LoopClock(loop), 26 * 3600.0
    loop.call_later(600.0, clock.suspend, night)  # so that nobody needs to look a thousand times
    report = await bench.run(bench.job(20), clock=clock, wait=night + 3600.0)
    assert report.run.state is RunState.DRAINING
    assert report.books["in_flight"] == 20
    assert bench.sim.stats()["requests_accepted"] == 20
    (overdue,) = bench.told("batch.overdue")
    assert "`batchflow cancel`" in overdue.text
    assert "should have ended 2 hours ago" in overdue.text


async def test_a_reply_that_arrives_after_the_lease_is_believed_and_not_paid_again(bench):
    bench.simulate("create:1:slow,seconds=0.3,when=after")
    clock, stores = LoopClock(asyncio.get_running_loop()), {"store": memory_state(), "blobs": memory_blobs()}

    async def close_the_lid():
        while not bench.sim.stats()["requests_accepted"]:
            await anyio.sleep(0.1)
        clock.suspend(2 * TTL)

    async with anyio.create_task_group() as group:
        group.start_soon(close_the_lid)
        report = await bench.run(bench.job(20), clock=clock, **stores)
    bench.check(report, asked=20, good=20)
    assert bench.sim.stats()["creates"] == 1
