"""What a second `run` does, and the verbs that act on a run which is there."""

import json
import os

from batchflow.cli.exits import Exit


def test_what_was_delivered_is_not_paid_for_again_unless_new_says_so(shop):
    shop("run")
    said = shop("run")
    assert said.code == Exit.DELIVERED
    assert "already delivered by" in said.err
    assert "`--new` pays again (about $" in said.err
    assert shop.asked == 4
    (shop.folder / "out.jsonl").unlink()
    assert shop("run", "--new").code == Exit.DELIVERED
    assert shop.asked == 8


def test_a_changed_source_is_a_new_run(shop):
    shop("run")
    (shop.folder / "out.jsonl").unlink()
    shop.write(records=5)
    assert shop("run").code == Exit.DELIVERED
    assert shop.asked == 9


def test_a_source_that_was_only_touched_is_not_paid_for_again(shop):
    shop("run")
    os.utime(shop.folder / "in.jsonl", (1, 1))
    said = shop("run")
    assert said.code == Exit.DELIVERED
    assert "already delivered by" in said.err
    assert shop.asked == 4


def test_an_edit_that_keeps_size_and_time_is_a_new_run(shop):
    shop("run")
    source, times = shop.folder / "in.jsonl", (shop.folder / "in.jsonl").stat()
    source.write_text(source.read_text().replace("kitchen", "kitchan"))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    (shop.folder / "out.jsonl").unlink()
    assert shop("run").code == Exit.DELIVERED
    assert shop.asked == 8


def test_a_run_that_has_read_everything_does_not_need_its_source_any_more(simulate, shop_of):
    shop = shop_of(simulate(speed=100, duration=30))
    assert shop("run", "--no-wait").code == Exit.IN_FLIGHT
    (shop.folder / "in.jsonl").unlink()
    assert shop("run").code == Exit.DELIVERED
    assert len(shop.lines()) == shop.asked == 4


def test_a_job_changed_in_mid_run_is_refused_with_the_choices(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    shop("run", "--no-wait")
    file = shop.folder / "batchflow.yaml"
    file.write_text(file.read_text().replace("Summarise", "Shorten"))
    said = shop("run")
    assert said.code == Exit.USAGE
    assert "batchflow cancel" in said.err
    assert "--new" in said.err
    assert shop.asked == 4


def test_a_run_prints_its_report_as_json(shop):
    [report] = shop("run", "--json").facts
    assert report["run"]["state"] == "done"
    assert report["success_rate"] == 1.0


def test_jobs_are_chosen_by_name_with_or_without_the_file(shop):
    assert shop("run", "triage").code == Exit.DELIVERED
    assert shop("run", "batchflow.yaml", "triage").code == Exit.DELIVERED
    assert shop.asked == 4


def test_dead_letters_are_asked_again_and_what_succeeds_is_added(simulate, shop_of):
    shop = shop_of(simulate("row:k-1:refusal,times=1"))
    assert shop("run").code == Exit.DEAD_LETTERS
    said = shop("retry", "triage", "--only", "refused")
    assert said.code == Exit.DELIVERED, said.err
    assert sorted(row["key"] for row in shop.lines()) == ["k-0", "k-1", "k-2", "k-3"]
    assert [row["key"] for row in shop.lines("dead.jsonl")] == ["k-1"]
    [run] = shop("ps", "--json").facts
    assert run["balanced"] is True
    assert (run["state"], run["books"]["delivered"], run["books"]["dead"]) == ("done", 4, 0)
    assert shop.asked == 5
    trail = shop("show", "k-1", "--json").facts
    assert [(one["attempt"], one["fate"]) for one in trail["attempts"]] == [(1, "asked again"), (1, "good")]


def test_retry_says_when_there_is_nothing_to_ask_again(shop):
    shop("run")
    said = shop("retry", "--only", "expired")
    assert said.code == Exit.USAGE
    assert "expired" in said.err
    assert shop("ps", "--json").facts[0]["state"] == "done"


def test_retry_refuses_words_that_there_are_not(shop):
    shop("run")
    said = shop("retry", "--only", "expird")
    assert said.code == Exit.USAGE
    assert "`expired`" in said.err or "expired" in said.err


def test_truncated_answers_are_not_bought_twice_at_the_same_length(simulate, shop_of):
    shop = shop_of(simulate("row:k-1:max_tokens,times=1"))
    assert shop("run").code == Exit.DEAD_LETTERS
    said = shop("retry", "--only", "truncated")
    assert said.code == Exit.USAGE
    assert "retry: {truncated:" in said.err
    assert shop.asked == 4
    shop.write(more="retry: {truncated: {max_tokens: 2x, ceiling: 500}}")
    assert shop("retry", "--only", "truncated").code == Exit.DELIVERED
    trail = shop("show", "k-1", "--json").facts
    assert [one["request"]["max_tokens"] for one in trail["attempts"]] == [60, 120]


def test_retry_of_an_unfinished_run_is_refused(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    shop("run", "--no-wait")
    said = shop("retry", "--only", "expired")
    assert said.code == Exit.USAGE
    assert "batchflow resume" in said.err


def test_resume_of_a_finished_run_is_refused(shop):
    shop("run")
    said = shop("resume")
    assert said.code == Exit.USAGE
    assert "done" in said.err


def test_old_payloads_are_listed_then_removed_and_spoken_of(shop):
    shop("run")
    objects = shop.folder / ".batchflow" / "objects"

    def stored():
        return [path for path in objects.rglob("*") if path.is_file() and path.name != ".gitignore"]

    assert shop("gc", "--json").facts == []
    assert len(shop("gc", "--keep", "0s", "--json").facts) == 1
    assert stored()
    assert shop("gc", "--keep", "0s", "--yes").code == Exit.DELIVERED
    assert not stored()
    for words in (["results"], ["show", "k-1", "--run", "triage"], ["retry", "--only", "expired"]):
        said = shop(*words)
        assert said.code == Exit.USAGE
        assert "batchflow gc" in said.err
    assert shop("report", "--json").facts["run"]["books"]["delivered"] == 4
    assert shop("gc", "--keep", "0s", "--json").facts == []


def test_plan_writes_nothing_and_says_what_it_would_cost(shop):
    shop.write(records=30, more="batch: {max_requests: 10}\nbudget: {run: 0.5}")
    with (shop.folder / "in.jsonl").open("a") as file:
        file.write('not json\n{"id": "k-30", "tenant": "t"}\n{"id": "k-3", "tenant": "t", "text": "again"}\n')
    before = sorted(path.name for path in shop.folder.rglob("*"))
    [found] = shop("plan", "--json").facts
    assert sorted(path.name for path in shop.folder.rglob("*")) == before
    assert shop.sim.calls == []
    assert (found["records"], found["unreadable"], found["unbuildable"], found["duplicates"]) == (33, 1, 1, 1)
    assert (found["requests"], found["batches"]) == (31, 4)
    assert found["list_at_most"] == 2 * found["at_most"] > 0
    assert found["verdict"] == "fits"
    assert found["sample"]["messages"][0]["content"] == "Summarise k-0: water in the kitchen"
    out = shop("plan").out
    assert "in.jsonl:31" in out
    assert "at list price" in out
    assert "Summarise k-0" in out


def test_plan_says_when_the_budget_cannot_hold(shop):
    shop.write(more="budget: {run: 0.000001}")
    assert shop("plan", "--json").facts[0]["verdict"] == "too small"


def test_everything_that_a_run_writes_as_json_can_be_read(shop):
    shop("run")
    for words in (["ps"], ["report"], ["show", "k-0"], ["plan"], ["gc"], ["describe"], ["validate"]):
        json.loads(shop(*words, "--json").out)
