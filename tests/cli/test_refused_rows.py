"""A table that refuses a row: what each command says of it, and how the row gets there in the end."""

import sqlite3
from contextlib import closing

from batchflow.cli.exits import Exit

TABLE = "sinks: [{type: sqlite, path: out.db, table: answers, fields: {id: key, said: text}}]"


def execute(shop, *statements):
    with closing(sqlite3.connect(shop.folder / "out.db")) as database:
        found = [database.execute(one).fetchall() for one in statements]
        database.commit()
    return found[-1]


def begin(shop, refused=("k-2",), records=4, batch=100):
    rule = " AND ".join(f"id != '{key}'" for key in refused)
    execute(shop, f"CREATE TABLE answers (id TEXT PRIMARY KEY, said TEXT CHECK ({rule}))")
    shop.write(records=records)
    file = shop.folder / "batchflow.yaml"
    head, _, _ = file.read_text().partition("    sinks:")
    file.write_text(f"{head}    batch: {{max_requests: {batch}}}\n    {TABLE}\n")
    return shop("run")


def test_the_row_is_named_by_every_command_that_looks(shop):
    ended = begin(shop)
    assert ended.code == Exit.DEAD_LETTERS
    assert "sink sqlite refused 1 of the rows, for example k-2: CHECK constraint failed" in " ".join(ended.err.split())
    assert "--only sink_error" in ended.err
    assert execute(shop, "SELECT id FROM answers ORDER BY id") == [("k-0",), ("k-1",), ("k-3",)]
    [run] = shop("ps", "--json").facts
    assert (run["state"], run["books"]["dead"], run["books"]["delivered"], run["balanced"]) == ("done", 1, 3, True)
    assert "sink sqlite refused 1 of the rows" in run["worries"][0]
    [tally] = shop("report", "--json").facts["dead"]
    assert (tally["word"], tally["count"]) == ("sink_error", 1)
    dead = shop("results", "--on", "dead")
    assert '"key":"k-2","word":"sink_error"' in dead.out
    assert "CHECK constraint failed" in dead.out
    doctor = shop("doctor", "--json")
    [one] = doctor.facts["findings"]
    assert doctor.code == Exit.PAUSED
    assert "k-2: CHECK constraint failed" in one["sentence"]
    assert one["say"][0].endswith("--only sink_error")
    trail = shop("show", "k-2", "--json").facts
    [attempt] = trail["attempts"]
    assert (attempt["word"], attempt["fate"]) == ("sink_error", "refused by a sink")
    assert [arrival["state"] for arrival in attempt["arrivals"]] == ["refused"]


def test_it_is_brought_again_once_the_table_is_mended_and_nothing_is_asked(shop):
    begin(shop)
    asked = shop.sim.stats()["requests_accepted"]
    execute(
        shop,
        "ALTER TABLE answers RENAME TO old",
        "CREATE TABLE answers (id TEXT PRIMARY KEY, said TEXT)",
        "INSERT INTO answers SELECT * FROM old",
    )
    assert shop("retry", "--only", "sink_error").code == Exit.DELIVERED
    assert shop.sim.stats()["requests_accepted"] == asked == 4
    assert execute(shop, "SELECT count(*) FROM answers") == [(4,)]
    assert shop("doctor").code == Exit.DELIVERED
    [attempt] = shop("show", "k-2", "--json").facts["attempts"]
    assert (attempt["word"], attempt["fate"]) == ("ok", "good")
    assert [arrival["state"] for arrival in attempt["arrivals"]] == ["done"]


def test_the_doctor_says_once_what_helps_all_the_refused_parts(shop):
    begin(shop, refused=("k-1", "k-4"), records=6, batch=2)
    doctor = shop("doctor")
    assert doctor.out.count("sink sqlite refused 1 of the rows of batch") == 2
    assert doctor.err.count("say:") == doctor.err.count("--only sink_error") == 1
    assert all(one["say"] for one in shop("doctor", "--json").facts["findings"])


def test_a_dead_letter_is_shown_with_the_part_that_told_of_it_and_no_other(simulate, shop_of):
    """Of one batch, one answer is a refusal by the model and another is refused by the table: they are told of in two parts."""
    shop = shop_of(simulate("row:k-1:refusal,times=null"))
    execute(shop, "CREATE TABLE answers (id TEXT PRIMARY KEY, said TEXT CHECK (id != 'k-2'))")
    file = shop.folder / "batchflow.yaml"
    head, _, _ = file.read_text().partition("    sinks:")
    table = "{type: sqlite, path: out.db, table: answers, fields: {id: key, said: text}}"
    file.write_text(f"{head}    sinks: [{table}, {{type: jsonl, path: dead.jsonl, on: dead}}]\n")
    assert shop("run").code == Exit.DEAD_LETTERS
    assert {row["key"] for row in shop.lines("dead.jsonl")} == {"k-1", "k-2"}
    told = {}
    for key in ("k-1", "k-2"):
        [attempt] = shop("show", key, "--json").facts["attempts"]
        told[key] = [
            arrival["part"].rpartition("/")[2] for arrival in attempt["arrivals"] if arrival["state"] == "done"
        ]
    assert told == {"k-1": ["0"], "k-2": ["1"]}
