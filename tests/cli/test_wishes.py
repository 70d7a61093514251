"""Cancel and pause, typed elsewhere: the driver obeys; without a driver the command does it itself."""

import time

import pytest

from batchflow.cli.exits import Exit
from batchflow.sim import FaultPlan


@pytest.fixture
def flying(simulate, shop_of):
    """A run whose batch is in flight and stays there, and the process that drives it."""
    shop = shop_of(simulate(speed=1, cancel_delay=0.5))
    process = shop.process("run")
    while "submitted" not in (line := process.stderr.readline()):
        assert line, "it ended before it sent anything"
    return shop, process


def test_a_run_is_paused_by_its_driver(flying):
    shop, process = flying
    said = shop("pause", "triage")
    assert said.code == Exit.DELIVERED, said.err
    assert f"pid {process.pid}" in said.err
    _, err = process.communicate()
    assert process.returncode == Exit.PAUSED, err
    assert shop("ps", "--json").facts[0]["state"] == "paused"
    shop.sim.clock.advance(4000)
    assert shop("resume").code == Exit.DELIVERED
    assert shop.asked == 4


def test_a_run_is_canceled_by_its_driver_and_what_was_answered_is_kept(flying):
    shop, process = flying
    said = shop("cancel", "triage")
    assert said.code == Exit.DELIVERED, said.err
    process.communicate()
    [run] = shop("ps", "--json").facts
    assert run["state"] == "canceled"
    assert run["balanced"] is True
    assert run["books"]["delivered"] + run["books"]["canceled"] == 4
    assert shop.sim.stats()["cancels"] == 1


def test_a_run_that_is_being_canceled_says_so(simulate, shop_of):
    sim = simulate(speed=1, cancel_delay=1e6)
    shop = shop_of(sim)
    process = shop.process("run")
    while "submitted" not in (line := process.stderr.readline()):
        assert line, "it ended before it sent anything"
    said = shop("cancel")
    assert said.code == Exit.DELIVERED
    assert "is canceling; 0 delivered, 4 in flight" in said.err
    [run] = shop("ps", "--json").facts
    assert (run["state"], run["standing"], run["why"]) == ("draining", "canceling", "an operator canceled it")
    for words in (["ps"], ["report"]):
        said = shop(*words)
        assert "canceling" in said.out
        assert "draining" not in said.out
    sim.clock.advance(2e6)
    process.communicate()
    [run] = shop("ps", "--json").facts
    assert (run["state"], run["standing"]) == ("canceled", "canceled")


def test_a_run_that_nobody_drives_is_paused_at_once(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    shop("run", "--no-wait")
    said = shop("pause")
    assert said.code == Exit.DELIVERED
    assert "batchflow resume" in said.err
    [run] = shop("ps", "--json").facts
    assert (run["state"], run["why"], run["driver"]) == ("paused", "paused by an operator", None)
    assert shop("pause").code == Exit.USAGE


def test_a_run_that_nobody_drives_is_canceled_by_the_command_itself(simulate, shop_of):
    shop = shop_of(simulate(cancel_delay=1.0, duration=1e6))
    shop("run", "--no-wait")
    said = shop("cancel")
    assert said.code == Exit.DELIVERED, said.err
    [run] = shop("ps", "--json").facts
    assert run["state"] == "canceled"
    assert run["balanced"] is True
    assert len(shop.lines()) == run["books"]["delivered"]
    assert shop.sim.stats()["cancels"] == 1
    again = shop("run")
    assert again.code == Exit.DELIVERED
    assert "was canceled" in again.err
    assert shop.asked == 4


def test_a_job_that_was_changed_can_still_be_canceled(simulate, shop_of):
    shop = shop_of(simulate(cancel_delay=1.0, duration=1e6))
    shop("run", "--no-wait")
    file = shop.folder / "batchflow.yaml"
    file.write_text(file.read_text().replace("Summarise", "Shorten"))
    assert shop("cancel").code == Exit.DELIVERED
    assert shop("ps", "--json").facts[0]["state"] == "canceled"


def test_a_wish_that_a_dead_driver_cannot_obey_is_taken_back(simulate, shop_of, monkeypatch):
    monkeypatch.setattr("batchflow.cli.wishes.PATIENCE", 0.3)
    shop = shop_of(simulate(speed=1))
    shop("run", "--no-wait")
    run = shop("ps", "--json").facts[0]["run"]

    async def hold(store):
        await store.lease(f"run/{run}", owner="gone", host="far-away", pid=4711, ttl=60)

    shop.in_store(hold)
    said = shop("cancel")
    assert said.code == Exit.STORE
    assert "far-away" in said.err

    async def let_go(store):
        await store.release(f"run/{run}", owner="gone")

    shop.in_store(let_go)
    shop.sim.clock.advance(4000)
    assert shop("run").code == Exit.DELIVERED
    assert len(shop.lines()) == 4


def test_what_has_ended_cannot_be_canceled(shop):
    shop("run")
    said = shop("cancel")
    assert said.code == Exit.USAGE
    assert "done already" in said.err


def test_what_a_canceled_run_has_paid_for_is_delivered_and_said(simulate, shop_of):
    """The cancel came too late for every row."""
    shop = shop_of(simulate("cancel::spare", cancel_delay=1.0, duration=1e6))
    shop("run", "--no-wait")
    said = shop("cancel", "--json")
    assert said.code == Exit.DELIVERED, said.err
    [report] = said.facts
    assert report["run"]["money"]["paid"] > 0
    assert report["run"]["money"]["reserved"] == 0
    assert len(shop.lines()) == report["run"]["books"]["delivered"] == shop.sim.stats()["rows_billed"] == 4
    assert f"${report['run']['money']['paid']:.6f} paid" in shop("report").out


def test_a_cancel_that_cannot_find_out_says_whose_word_it_waits_for(simulate, shop_of):
    shop = shop_of(simulate("create:1:reset_after", "list::status,status=404"), more="submit: {grace: 1s}")
    assert shop("run").code == Exit.PAUSED
    said = shop("cancel")
    assert said.code == Exit.PAUSED
    assert "batchflow reconcile" in said.err
    [batch] = [doubt["batch"] for doubt in shop("reconcile", "--json").facts["doubts"]]
    assert shop("reconcile", "--give-up", batch).code == Exit.DELIVERED
    assert shop("resume").code == Exit.DEAD_LETTERS
    assert shop("ps", "--json").facts[0]["state"] == "canceled"
    assert shop.asked == 4


def test_a_run_whose_driver_was_killed_is_canceled_at_once(flying):
    shop, process = flying
    process.kill()
    process.wait()
    said = shop("cancel")
    assert said.code == Exit.DELIVERED, said.err
    assert "does not answer" not in said.err
    assert shop("ps", "--json").facts[0]["state"] == "canceled"


def test_cancel_of_a_held_batch_says_that_it_is_remembered_and_what_comes_first(simulate, shop_of):
    sim = simulate("create:1:reset_after", "list:2+:status,status=503", keys={"one": "org/a", "two": "org/b"})
    more = "submit: {grace: 1s, patience: 1s}"
    shop = shop_of(sim, key="one", more=more)
    assert shop("run").code == Exit.UNREACHABLE
    sim.set_faults(FaultPlan())
    shop.write(key="two", more=more)
    said = shop("cancel")
    assert said.code == Exit.PAUSED, said.err
    assert "is held" in said.err
    assert "to be canceled" in said.err
    assert "the wish to cancel is remembered" in said.err
    assert "to be canceled" in shop("ps").out
    shop.write(key="one", more=more)
    said = shop(*said.err.splitlines()[-1].split("`")[1].split()[1:])
    assert shop("ps", "--json").facts[0]["state"] == "canceled", said.err
    assert shop.asked == 4


@pytest.mark.parametrize("how", ["deleted", "edited"])
def test_a_run_whose_output_file_was_spoiled_can_still_be_canceled(simulate, shop_of, how):
    """Refused, what is at the provider would go on and be paid for, and nothing that may be typed could stop it."""
    sim = simulate(cancel_delay=1.0, duration=600)
    shop = shop_of(sim, records=8, more="batch: {max_requests: 4}\nsubmit: {in_flight: 1}")
    process = shop.process("run")
    while not shop.lines() or not shop("ps", "--json").facts[0]["books"]["delivered"]:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.kill()
    process.wait()
    sim.set_faults(FaultPlan.parse(["create::duration,seconds=1000000"]))
    out = shop.folder / "out.jsonl"
    out.unlink() if how == "deleted" else out.write_text(out.read_text()[:-30])
    assert shop("resume").code == Exit.IN_FLIGHT
    said = shop("cancel")
    assert said.code == Exit.PAUSED, said.err
    assert "out.jsonl" in said.err
    [run] = shop("ps", "--json").facts
    assert run["books"]["in_flight"] == run["books"]["waiting"] == run["money"]["reserved"] == 0
    given = len(shop("results").out.splitlines())
    assert given == run["books"]["collected"] + run["books"]["delivered"]
    assert shop("doctor").code == Exit.PAUSED
