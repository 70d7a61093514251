"""`batchflow reconcile`: what is in doubt in a sentence each, and an operator's word about it."""

import json
import time
from functools import partial

import anyio
import pytest

from batchflow.cli.exits import Exit
from batchflow.cli.running import run_file
from batchflow.model.state import Event
from batchflow.sim import FaultPlan
from batchflow.testing import ScaledClock

HOLD = "submit: {grace: 1s, on_absent: hold}"


@pytest.fixture
def held(simulate, shop_of):
    """A run whose only batch was created, but neither its reply came nor does the listing show it."""
    shop = shop_of(simulate("create:1:unlisted", "create:1:reset_after"), more=HOLD)
    assert anyio.run(partial(run_file, [], clock=ScaledClock(speed=50))) == Exit.PAUSED
    return shop


def only_doubt(shop):
    said = shop("reconcile", "--json")
    [doubt] = said.facts["doubts"]
    return said, doubt


def test_it_says_what_is_known_of_the_money_of_each(held):
    said, doubt = only_doubt(held)
    assert said.code in {Exit.PAUSED, Exit.IN_FLIGHT}
    assert (doubt["requests"], doubt["candidates"], doubt["remote"]) == (4, [], None)
    assert doubt["at_most"] > 0
    assert doubt["sent"]
    assert "may have been paid" in doubt["sentence"]
    assert "shows no batch that it could be" in doubt["sentence"]
    assert doubt["account"].startswith(held.sim.url)
    said = held("reconcile")
    assert doubt["batch"][:16] in said.out
    assert f"--absent {doubt['batch'][:16]}" in said.err


def test_the_pause_of_a_run_says_what_to_type_about_what_is_held(held):
    [run] = held("ps", "--json").facts
    assert f"`batchflow reconcile {run['run'][:16]}`" in run["why"]


def test_a_batch_is_adopted_by_what_was_typed_and_the_run_goes_on(held):
    _, doubt = only_doubt(held)
    remote = held.sim.batches[0].id
    said = held("reconcile", "--adopt", f"{doubt['batch'][:16]}={remote}")
    assert said.code == Exit.DELIVERED, said.err
    assert "nothing is paid twice" in said.err
    assert "batchflow resume" in said.err
    assert held("resume").code == Exit.DELIVERED
    assert (held.asked, len(held.lines())) == (4, 4)


def test_a_batch_id_alone_is_enough_where_its_token_is_ours(held):
    said = held("reconcile", "--batch-id", held.sim.batches[0].id)
    assert said.code == Exit.DELIVERED, said.err
    assert held("resume").code == Exit.DELIVERED
    assert held.asked == 4


def test_a_batch_id_that_is_not_ours_is_refused(held):
    said = held("reconcile", "--batch-id", "msgbatch_foreign")
    assert said.code == Exit.USAGE
    assert "does not know msgbatch_foreign" in said.err
    assert held.asked == 4


def test_what_a_word_costs_if_it_is_wrong_is_said_and_recorded(held):
    _, doubt = only_doubt(held)
    said = held("reconcile", "--absent", doubt["batch"], "--json")
    [told] = said.facts["said"]
    assert told["done"] is True
    assert "is paid twice" in told["text"]
    [event] = held.in_store(lambda store: store.find(Event, {"kind": "batch.ruled.drafted"}))
    assert event.text == told["text"]
    assert said.facts["next"].startswith("batchflow resume")


def test_what_was_paid_twice_is_not_called_asked_again(held):
    _, doubt = only_doubt(held)
    remote = held.sim.batches[0].id
    held("reconcile", "--absent", doubt["batch"])
    assert held("resume").code == Exit.DELIVERED
    assert "of it" not in held("report").out
    assert held("reconcile", "triage", "--batch-id", remote).code == Exit.DELIVERED
    told = held("report").out
    assert "was paid twice" in told
    assert "asked again" not in told
    [run] = held("ps", "--json").facts
    assert run["money"]["twice"] == run["money"]["waste"] > 0
    assert held("doctor").code == Exit.DELIVERED


def test_giving_up_ends_the_run_without_sending_anything(held):
    _, doubt = only_doubt(held)
    assert held("reconcile", "--give-up", doubt["batch"]).code == Exit.DELIVERED
    assert held("resume").code == Exit.DEAD_LETTERS
    assert [row["word"] for row in held.lines("dead.jsonl")] == ["missing"] * 4
    assert held.asked == 4


def test_a_run_or_one_of_its_batches_can_be_named(held):
    _, doubt = only_doubt(held)
    assert held("reconcile", "triage", doubt["batch"][:16], "--json").facts["doubts"][0]["batch"] == doubt["batch"]
    said = held("reconcile", "triage", "nonsense")
    assert said.code == Exit.USAGE
    assert "no batch `nonsense`" in said.err
    assert held("reconcile", "--adopt", doubt["batch"]).code == Exit.USAGE


def test_where_nothing_is_in_doubt_nobody_is_asked(shop):
    shop("run")
    calls = shop.sim.stats()["calls"]
    said = shop("reconcile")
    assert said.code == Exit.DELIVERED
    assert "no batch is in doubt" in said.err
    assert shop.sim.stats()["calls"] == calls


def test_a_listing_that_cannot_be_read_is_said_and_the_doubt_still_shown(held):
    held.sim.set_faults(FaultPlan.parse(["list::status,status=503"]))
    said, doubt = only_doubt(held)
    assert "503" in said.facts["blind"]
    assert doubt["candidates"] is None
    assert said.code == Exit.IN_FLIGHT


@pytest.fixture
def busy(simulate, shop_of):
    """A process that drives a run with a batch in doubt: it looks for it, and has ten minutes of grace to go."""
    shop = shop_of(simulate("create:1:status,status=500", speed=1))
    process = shop.process("run")
    while "doubt" not in (line := process.stderr.readline()):
        assert line, "it ended before it was in doubt"
    return shop, process


def test_a_live_driver_is_told_and_obeys(busy):
    shop, process = busy
    said, doubt = only_doubt(shop)
    assert f"pid {process.pid}" in said.err
    said = shop("reconcile", "--absent", doubt["batch"][:16], "--json")
    assert said.code == Exit.DELIVERED, said.err
    assert said.facts["said"][0]["done"] is True
    while not shop.asked:
        assert process.poll() is None
        time.sleep(0.02)
    assert shop.sim.stats()["creates"] == 2


def test_a_cancel_told_to_the_driver_says_what_is_settled_first(busy):
    shop, _ = busy
    said = shop("cancel")
    assert said.code == Exit.DELIVERED, said.err
    assert "(4 requests) is in doubt" in said.err
    assert "the wish to cancel is remembered" in said.err


def test_a_driver_that_died_is_not_waited_for(busy):
    shop, process = busy
    process.kill()
    process.wait()
    said = shop("reconcile", "--json")
    assert json.loads(said.out)["doubts"][0]["state"] == "in_doubt"
    assert "pid" not in said.err


def test_what_turns_up_after_the_end_of_a_canceled_run_is_told_and_brought_home(simulate, shop_of):
    """Nothing is in doubt any more, but the call is still watched: looking at the run looks out for it."""
    shop = shop_of(simulate("create:1:unlisted,seconds=1000000", "create:1:reset_after"), more=HOLD)
    assert anyio.run(partial(run_file, [], clock=ScaledClock(speed=50))) == Exit.PAUSED
    _, doubt = only_doubt(shop)
    assert shop("reconcile", "--give-up", doubt["batch"]).code == Exit.DELIVERED
    assert shop("cancel").code == Exit.DELIVERED
    shop.sim.clock.advance(1_000_000)
    said = shop("reconcile", "triage")
    assert said.code == Exit.DELIVERED, said.err
    assert "turned up after the run had ended: its answers to 4 requests are paid for" in said.err
    assert "`batchflow resume" in said.err
    assert shop("resume").code == Exit.DELIVERED
    assert (len(shop.lines()), shop.asked) == (4, 4)
    [run] = shop("ps", "--json").facts
    assert run["state"] == "canceled"
    assert shop("doctor").code == Exit.DELIVERED


def test_what_a_look_finds_out_about_money_is_said(simulate, shop_of):
    """A batch that was sent again and turns up when the run is over: the books say that it was paid for, so the command does."""
    shop = shop_of(simulate("create:1:unlisted,seconds=1000000", "create:1:reset_after"), more=HOLD)
    assert anyio.run(partial(run_file, [], clock=ScaledClock(speed=50))) == Exit.PAUSED
    _, doubt = only_doubt(shop)
    shop("reconcile", "--absent", doubt["batch"])
    assert shop("resume").code == Exit.DELIVERED
    shop.sim.clock.advance(1_000_000)
    said = shop("reconcile", "triage")
    assert f"batch {doubt['batch'][:16]}: {shop.sim.batches[0].id} was created after all" in said.err
    assert "booked as waste" in said.err
    assert shop("reconcile", "triage", "--json").facts["found"] == []


def test_a_lost_call_that_is_still_looked_out_for_is_told_wherever_somebody_looks(simulate, shop_of):
    """The run is done and nothing is in doubt: what could still turn up, and cost, is nobody's secret."""
    shop = shop_of(simulate("create:1:status,status=500"), more=HOLD)
    assert anyio.run(partial(run_file, [], clock=ScaledClock(speed=50))) == Exit.PAUSED
    _, doubt = only_doubt(shop)
    run, batch = doubt["run"][:16], doubt["batch"][:16]
    assert shop("reconcile", "--absent", batch).code == Exit.DELIVERED
    assert shop("resume").code == Exit.DELIVERED
    [told] = shop("reconcile", "--json").facts["watched"]
    assert (told["run"][:16], told["batch"][:16], told["requests"]) == (run, batch, 4)
    sentence = f"a call of run {run} for batch {batch} (4 requests) was lost"
    assert sentence in told["sentence"]
    assert f"is watched until {told['until']}, and `batchflow reconcile {run}` looks for it now" in told["sentence"]
    for command in (["doctor"], ["reconcile"], ["reconcile", run], ["report"]):
        said = shop(*command)
        assert said.code == Exit.DELIVERED, said.err
        assert sentence in " ".join((said.out + said.err).split()), command
