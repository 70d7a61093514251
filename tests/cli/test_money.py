"""Trouble with the account, as it is read in a terminal: the reason, what it did to the rows, and the next command."""

import pytest

from batchflow.cli.exits import Exit
from batchflow.sim import FaultPlan

SHAPES = {
    "create::credit": (Exit.PAUSED, "credit balance is too low"),
    "create::spend_cap": (Exit.PAUSED, "429"),
    "create::workspace_limit": (Exit.PAUSED, "usage limits"),
    "create::revoked": (Exit.CREDENTIALS, "authentication_error"),
    "create::on_hold": (Exit.CREDENTIALS, "on hold"),
    "row:k-2:credit": (Exit.PAUSED, "credit balance is too low"),
}


@pytest.mark.parametrize(("fault", "code", "said"), [(fault, *told) for fault, told in SHAPES.items()], ids=SHAPES)
def test_the_run_pauses_with_the_reason_and_resume_finishes_it(simulate, shop_of, fault, code, said):
    sim = simulate(fault)
    shop = shop_of(sim, more="retry: {attempts: 1}")
    told = shop("run")
    assert told.code == code, told.err
    assert said in told.err
    assert "batchflow resume" in told.err
    assert "Every row is kept" in told.err
    [run] = shop("ps", "--json").facts
    assert (run["state"], run["books"]["dead"]) == ("paused", 0)
    sim.set_faults(FaultPlan())
    assert shop("resume").code == Exit.DELIVERED
    assert sorted(row["key"] for row in shop.lines()) == ["k-0", "k-1", "k-2", "k-3"]
    assert shop.lines("dead.jsonl") == []
    assert sim.stats()["rows_billed"] == 4


KEYS = {"one": "org/a", "two": "org/b"}


@pytest.fixture
def flying(simulate, shop_of):
    """A run in flight, sent with key `one`; the job file has key `two` by now, of another workspace."""
    sim = simulate(speed=1, keys=KEYS, cancel_delay=0.1)
    shop = shop_of(sim, key="one")
    assert shop("run", "--no-wait").code == Exit.IN_FLIGHT
    shop.write(key="two")
    return shop


@pytest.mark.parametrize("verb", ["run", "resume", "cancel"])
def test_work_in_flight_is_not_touched_with_another_accounts_key(flying, verb):
    before = flying.sim.stats()["calls"]
    said = flying(verb)
    assert said.code == Exit.USAGE, said.err
    assert "under another key" in said.err
    assert "Nothing was touched" in said.err
    after = flying.sim.stats()["calls"]
    assert {name for name in after if after[name] != before.get(name, 0)} == {"list"}
    flying.write(key="one")
    flying.sim.clock.advance(4000)
    assert flying("run").code == Exit.DELIVERED
    assert flying("ps", "--json").facts[0]["state"] == "done"  # a cancel that was refused is not waiting to be obeyed
    assert (flying.asked, len(flying.lines())) == (4, 4)


def test_reconcile_with_another_accounts_key_says_so_and_changes_nothing(flying):
    said = flying("reconcile", "--batch-id", flying.sim.batches[0].id)
    assert said.code == Exit.USAGE
    assert "known already" in said.err or "does not know" in said.err
    assert flying("doctor").code == Exit.IN_FLIGHT


def test_the_very_first_post_lost_and_the_key_changed_is_held_and_never_paid_again(simulate, shop_of):
    sim = simulate("create:1:reset_after", "list:2+:status,status=503", keys=KEYS)
    shop = shop_of(sim, key="one", more="submit: {grace: 1s, patience: 1s}")
    assert shop("run").code == Exit.UNREACHABLE
    sim.set_faults(FaultPlan.parse(["list:9+:status,status=503"]))  # whoever goes on asking is not answered for ever
    shop.write(key="two", more="submit: {grace: 1s, patience: 1s}")
    said = shop("resume")
    assert said.code == Exit.PAUSED, said.err
    assert "another key" in said.err
    sim.set_faults(FaultPlan())
    [doubt] = shop("reconcile", "--json").facts["doubts"]
    assert (doubt["state"], doubt["requests"]) == ("held", 4)
    assert "another key" in doubt["sentence"]
    said = shop("reconcile", "--adopt", f"{doubt['batch']}={sim.batches[0].id}")
    assert said.code == Exit.USAGE
    assert "another workspace" in said.err
    assert sim.stats()["creates"] == 1
    shop.write(key="one", more="submit: {grace: 1s, patience: 1s}")
    assert shop("resume").code == Exit.DELIVERED
    assert (sim.stats()["creates"], len(shop.lines())) == (1, 4)
