"""`ps`, `report`, `show`, `results`: facts about runs, for people and as JSON."""

import json
import sqlite3
from contextlib import closing

import pytest

from batchflow.cli.exits import Exit

PLACES = ("waiting", "in_flight", "collected", "delivered", "dead", "canceled")


@pytest.fixture
def mixed(simulate, shop_of):
    """A run of ten records: one is unfinished at first, one refused for good, one lacks a column, one comes twice."""
    sim = simulate("row:k-2:pause_turn", "row:k-5:refusal,times=null")
    shop = shop_of(sim, records=8)
    with (shop.folder / "in.jsonl").open("a") as file:
        file.write('{"id": "k-8", "tenant": "north"}\n{"id": "k-0", "tenant": "north", "text": "again"}\n')
    said = shop("run")
    assert said.code == Exit.DEAD_LETTERS, said.err
    return shop


def test_ps_shows_the_books_and_they_balance(mixed):
    [run] = mixed("ps", "--json").facts
    books = run["books"]
    assert run["balanced"] is True
    assert books["read"] == 10 == books["skipped"] + books["duplicate"] + books["unbuildable"] + books["built"]
    assert books["rows"] == 8 == sum(books[place] for place in PLACES)
    assert (books["duplicate"], books["unbuildable"], books["dead"], books["retried"]) == (1, 1, 1, 1)
    assert run["money"]["listed"] == pytest.approx(2 * run["money"]["paid"])
    assert run["driver"] is None


LOOKS = ["ps"], ["report"], ["show", "k-5"], ["results"], ["doctor"], ["gc", "--keep", "0s"]


def test_looking_at_a_folder_of_an_older_batchflow_changes_nothing_in_it(mixed):
    database = mixed.folder / ".batchflow" / "state.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as older:
        older.execute('ALTER TABLE deliveries DROP COLUMN "only"')
        older.execute("PRAGMA user_version = 3")
    before = database.read_bytes()
    assert {words[0]: mixed(*words).code for words in LOOKS} == {words[0]: Exit.DELIVERED for words in LOOKS}
    assert database.read_bytes() == before
    assert mixed("reconcile", "triage").code == Exit.DELIVERED  # which may have to write
    assert database.read_bytes() != before


def test_ps_names_the_driver_of_a_run(simulate, shop_of):
    shop = shop_of(simulate(speed=1))
    process = shop.process("run")
    while "submitted" not in (line := process.stderr.readline()):
        assert line, "it ended before it sent anything"
    [run] = shop("ps", "--json").facts
    assert run["driver"]["pid"] == process.pid
    assert run["state"] == "draining"
    assert f"driven by pid {process.pid}" in shop("ps").out


def test_the_lookers_say_on_standard_error_which_folder_they_read(shop, monkeypatch):
    shop("run")
    below = shop.folder / "deep" / "er"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    said = shop("ps")
    assert said.code == Exit.DELIVERED
    assert str(shop.folder / ".batchflow") in said.err


def test_where_there_are_no_runs_it_says_where_it_looked(shop):
    said = shop("ps")
    assert said.code == Exit.USAGE
    assert "--state" in said.err
    assert not (shop.folder / ".batchflow").exists()


def test_a_state_elsewhere_is_found_by_option_and_by_environment(shop, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    assert shop("run", "--state", str(elsewhere)).code == Exit.DELIVERED
    assert len(shop("ps", "--json", "--state", str(elsewhere)).facts) == 1
    monkeypatch.setenv("BATCHFLOW_HOME", str(elsewhere))
    assert len(shop("ps", "--json").facts) == 1


def test_a_report_names_the_dead_by_reason_and_the_price_beside_the_list_price(mixed):
    report = mixed("report", "triage", "--json").facts
    assert {tally["word"]: tally["count"] for tally in report["dead"]} == {"refused": 1, "build_error": 1}
    assert [tally["word"] for tally in report["asked_again"]] == ["unfinished"]
    assert report["processing"]["batches"] >= 1
    assert report["sinks"] == ["out.jsonl", "dead.jsonl (dead rows)"]
    out = mixed("report").out
    assert "refused 1" in out
    assert "at list price" in out


@pytest.mark.parametrize("wanted", ["", "triage", "triage@last", "id"])
def test_a_run_is_named_by_its_job_or_the_start_of_its_id(shop, wanted):
    shop("run")
    run = shop("ps", "--json").facts[0]["run"]
    words = [run[:8] if wanted == "id" else wanted] if wanted else []
    assert shop("report", *words, "--json").facts["run"]["run"] == run


def test_a_run_that_is_not_there_is_told_with_those_that_are(shop):
    shop("run")
    said = shop("report", "triagge")
    assert said.code == Exit.USAGE
    assert "triage" in said.err


def test_show_follows_a_record_through_every_attempt_to_its_sinks(simulate, shop_of):
    shop = shop_of(simulate("row:k-2:bad_json"), more="checks: [{type: schema, schema: {type: object}}]")
    file = shop.folder / "batchflow.yaml"
    file.write_text(file.read_text().replace("max_tokens: 60,", "max_tokens: 60, output: {type: object},"))
    file.write_text(file.read_text().replace("    checks: [{type: schema, schema: {type: object}}]\n", ""))
    shop("run")
    trail = shop("show", "k-2", "--json").facts
    assert (trail["key"], trail["origin"], trail["carried"]) == ("k-2", "in.jsonl:3", {"tenant": "north"})
    assert [(one["attempt"], one["word"], one["fate"]) for one in trail["attempts"]] == [
        (1, "bad_output", "asked again"),
        (2, "ok", "good"),
    ]
    first, second = trail["attempts"]
    assert "JSON" in first["error"]
    assert first["request"]["messages"][0]["content"] == "Summarise k-2: water in the kitchen"
    assert len(second["request"]["messages"]) == 3
    assert first["arrivals"] == []
    assert [(one["where"], one["state"]) for one in second["arrivals"]] == [("out.jsonl", "done")]
    assert trail["cost"] == pytest.approx(first["cost"] + second["cost"])
    assert first["cost"] > 0
    out = shop("show", "k-2").out
    assert "attempt 2" in out
    assert "in.jsonl:3" in out


def test_show_finds_a_record_that_never_became_a_request(mixed):
    trail = mixed("show", "k-8", "--json").facts
    [attempt] = trail["attempts"]
    assert (attempt["attempt"], attempt["word"], attempt["request"]) == (0, "build_error", None)
    assert "text" in attempt["error"]
    assert [one["where"] for one in attempt["arrivals"]] == ["dead.jsonl (dead rows)"]


def test_show_says_when_nobody_knows_the_key(shop):
    shop("run")
    said = shop("show", "k-99")
    assert said.code == Exit.USAGE
    assert "k-99" in said.err


def test_results_are_what_the_sink_got(mixed):
    said = mixed("results", "triage")
    assert said.code == Exit.DELIVERED
    by_key = {row["key"]: row for row in map(json.loads, said.out.splitlines())}
    assert by_key == {row["key"]: row for row in mixed.lines()}


def test_results_of_dead_letters(mixed):
    rows = [json.loads(line) for line in mixed("results", "--on", "dead").out.splitlines()]
    assert sorted((row["key"], row["word"]) for row in rows) == [("k-5", "refused"), ("k-8", "build_error")]


def test_looking_needs_no_key(shop, monkeypatch):
    monkeypatch.setenv("THE_KEY", "good")
    shop.write(key="${env:THE_KEY}")
    assert shop("run").code == Exit.DELIVERED
    monkeypatch.delenv("THE_KEY")
    assert len(shop("results").out.splitlines()) == 4
    assert shop("show", "k-1").code == Exit.DELIVERED
    assert shop("plan").code == Exit.DELIVERED
