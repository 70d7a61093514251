"""Which part of a job may be different when an unfinished run is gone on with, and what is said of it."""

import socket

from batchflow.cli.exits import Exit

BUDGET = "batch: {max_requests: 2}\nsubmit: {in_flight: 1}\nbudget: {run: %s}"


def facts_of(shop):
    [run] = shop("ps", "--json").facts
    assert run["balanced"] is True
    return run


def closed_port():
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_run_leaves_alone_what_an_operator_paused_and_resume_goes_on(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    shop("run", "--no-wait")
    shop("pause")
    shop.sim.clock.advance(4000)
    said = shop("run")
    assert said.code == Exit.PAUSED
    assert "was paused by an operator, so `run` leaves it alone; 4 requests in flight" in said.err
    assert "batchflow resume" in said.err
    said = shop("run", "--json")
    assert (said.code, said.facts[0]["run"]["state"], said.facts[0]["run"]["why"]) == (
        Exit.PAUSED,
        "paused",
        "paused by an operator",
    )
    assert shop.lines() == []
    assert shop("resume").code == Exit.DELIVERED
    assert len(shop.lines()) == shop.asked == 4
    assert facts_of(shop)["state"] == "done"


def test_what_an_operator_resumed_is_picked_up_by_run_again(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    shop("run", "--no-wait")
    shop("pause")
    assert shop("resume", "--no-wait").code == Exit.IN_FLIGHT
    shop.sim.clock.advance(4000)
    assert shop("run").code == Exit.DELIVERED


def test_run_says_why_a_run_was_paused_before_it_goes_on(simulate, shop_of):
    shop = shop_of(simulate("create:1:credit"))
    assert shop("run").code == Exit.PAUSED
    why = facts_of(shop)["why"]
    assert "credit" in why
    said = shop("run")
    assert said.code == Exit.DELIVERED
    assert f"resumed: it was paused: {why}" in said.err


def test_a_larger_budget_is_the_one_that_reports_show(simulate, shop_of):
    shop = shop_of(simulate(), more=BUDGET % "0.0003")
    assert shop("run").code == Exit.PAUSED
    assert facts_of(shop)["money"]["budget"] == 0.0003
    shop.write(more=BUDGET % '"${env:BUDGET:-1.5}"')
    said = shop("run", "--json")
    assert said.code == Exit.DELIVERED, said.err
    assert said.facts[0]["run"]["money"]["budget"] == 1.5
    assert facts_of(shop)["money"]["budget"] == 1.5


def test_a_wrong_address_can_be_mended_though_records_were_read(simulate, shop_of):
    shop = shop_of(simulate(), more="submit: {patience: 0s}\nbatch: {max_requests: 2}", url=closed_port())
    assert shop("run").code == Exit.UNREACHABLE
    assert facts_of(shop)["books"]["read"] > 0
    shop.write()
    assert shop("run").code == Exit.DELIVERED
    assert len(shop.lines()) == shop.asked == 4
    assert facts_of(shop)["state"] == "done"


def test_an_address_where_the_api_is_not_can_be_mended_too(simulate, shop_of):
    sim = simulate()
    shop = shop_of(sim, url=f"{sim.url}/wrong", more="submit: {patience: 0s}")
    said = shop("run")
    assert said.code == Exit.UNREACHABLE
    assert "check the provider's base_url" in said.err
    shop.write()
    assert shop("run").code == Exit.DELIVERED
    assert len(shop.lines()) == shop.asked == 4


def test_an_address_that_holds_batches_is_not_left_behind(simulate, shop_of):
    shop, other = shop_of(simulate(speed=1)), simulate()
    shop("run", "--no-wait")
    shop.write(url=other.url)
    for words in (["run"], ["resume"], ["cancel"]):
        said = shop(*words)
        assert said.code == Exit.USAGE
        assert "4 requests of run" in said.err
        assert f"are at {shop.sim.url}, or may be, but its provider is at {other.url} now" in said.err
    assert other.calls == []
    shop.write()
    shop.sim.clock.advance(4000)
    assert shop("run").code == Exit.DELIVERED
    assert len(shop.lines()) == shop.asked == 4


def test_an_address_that_holds_nothing_any_more_may_be_changed(simulate, shop_of):
    shop, other = shop_of(simulate(), more=BUDGET % "0.0004"), simulate()
    assert shop("run").code == Exit.PAUSED
    assert (shop.asked, facts_of(shop)["books"]["in_flight"]) == (2, 0)
    shop.write(url=other.url, more=BUDGET % "1")
    assert shop("run").code == Exit.DELIVERED
    assert (shop.asked, other.stats()["requests_accepted"]) == (2, 2)
    assert len(shop.lines()) == 4


def test_a_finished_rehearsal_is_told_from_the_real_thing(simulate, shop_of):
    shop, other = shop_of(simulate()), simulate()
    shop("run")
    shop.write(url=other.url)
    said = shop("run")
    assert said.code == Exit.DELIVERED
    assert "already delivered by" in said.err
    assert f"answered by {shop.sim.url}, while the job asks {other.url} now" in said.err
    assert other.stats()["requests_accepted"] == 0


def test_commands_that_never_wait_bring_a_run_home(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    assert shop("run", "--no-wait").code == Exit.IN_FLIGHT
    assert shop("run", "--no-wait").code == Exit.IN_FLIGHT
    assert facts_of(shop)["books"]["in_flight"] == 4
    shop.sim.clock.advance(4000)
    assert shop("run", "--no-wait").code == Exit.DELIVERED
    assert len(shop.lines()) == shop.asked == 4
    assert facts_of(shop)["state"] == "done"


def test_a_retry_that_does_not_wait_sends_the_rows_before_it_leaves(simulate, shop_of):
    shop = shop_of(simulate(speed=60, duration=7200))
    shop("run", "--no-wait")
    assert shop("cancel").code == Exit.DELIVERED
    dead = facts_of(shop)["books"]["canceled"]
    assert dead
    assert shop("retry", "--only", "canceled", "--no-wait").code == Exit.IN_FLIGHT
    assert facts_of(shop)["books"]["in_flight"] == dead
    shop.sim.clock.advance(9000)
    assert shop("run", "--no-wait").code == Exit.DELIVERED
    assert len(shop.lines()) == 4
