"""`gc`: what is removed, and what is left alone since somebody may need it yet."""

from batchflow.cli import clearing
from batchflow.cli.exits import Exit
from batchflow.reports.housekeeping import Clearable


def test_a_run_whose_lost_call_may_turn_up_yet_keeps_what_its_answers_need(simulate, shop_of):
    shop = shop_of(simulate("create:1:late,seconds=90000", speed=1), more="submit: {grace: 1s, on_absent: hold}")
    assert shop("run").code == Exit.PAUSED
    assert shop("cancel").code == Exit.DELIVERED
    said = shop("gc", "--keep", "0s", "--yes")
    assert "nothing to remove" in said.err
    shop.sim.clock.advance(100_000)
    shop("reconcile", "triage")
    assert shop("resume").code == Exit.DELIVERED
    assert len(shop.lines()) == shop.asked == 4
    assert "removed" in shop("gc", "--keep", "0s", "--yes").err
    assert "were removed by `batchflow gc`" in shop("results").err


def test_a_run_that_was_woken_since_it_was_listed_is_left_alone(simulate, shop_of, monkeypatch):
    shop = shop_of(simulate("row:100%:refusal", speed=3600))
    shop("run")
    listed = [Clearable(**facts) for facts in shop("gc", "--keep", "0s", "--json").facts]
    assert shop("retry", "--only", "refused", "--no-wait").code == Exit.IN_FLIGHT

    async def stale(*_, **__):
        for one in listed:
            yield one

    monkeypatch.setattr(clearing, "clearable", stale)
    assert "nothing to remove" in shop("gc", "--keep", "0s", "--yes").err
    assert shop("run").code == Exit.DELIVERED
    assert len(shop.lines()) == 4
    assert shop("results").code == Exit.DELIVERED


def test_show_says_that_gc_has_removed_what_it_looks_for_and_looks_in_the_other_runs(shop):
    assert shop("run").code == Exit.DELIVERED
    [run] = shop("ps", "--json").facts
    assert "removed" in shop("gc", "--keep", "0s", "--yes").err
    for words in (["k-1"], ["k-1", "--run", "triage"], ["k-1", "--run", run["run"]]):
        said = shop("show", *words)
        assert said.code == Exit.USAGE, said.err
        assert run["run"][:16] in said.err
        assert "removed by `batchflow gc`" in said.err
        assert "somebody" not in said.err
    (shop.folder / "out.jsonl").unlink()
    assert shop("run", "--new").code == Exit.DELIVERED
    assert shop("show", "k-1").code == Exit.DELIVERED
    said = shop("show", "nobody")
    assert "in 1 run; what was in run" in said.err
