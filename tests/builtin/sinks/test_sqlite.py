"""A table of the user's own: exactly once, and nothing else of it changed."""

import json
import sqlite3
from contextlib import closing

import pytest

from batchflow.builtin.sinks.sqlite import sqlite
from batchflow.model.errors import SinkError, SinkRefused
from batchflow.testing.sink import Damage, context, part, part_that_breaks, result, results

FIELDS = {"claim_id": "key", "severity": "output.severity", "status": "'done'"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "claims.db"


def run(path, *statements):
    with closing(sqlite3.connect(path)) as database:
        found = [database.execute(*([one] if isinstance(one, str) else one)).fetchall() for one in statements]
        database.commit()
    return found[-1]


def rated(key, severity):
    row = result(key)
    row.output = {"severity": severity}
    return row


async def session(sink, last, *parts, run="run-1"):
    await sink.open(context(run, fresh=last is None), last)
    try:
        for one in parts:
            last = await sink.write(one)
    finally:
        await sink.close()
    return last


async def test_upsert_makes_the_table_and_replaces_by_key(path):
    sink = sqlite(path=path, table="claims", fields=FIELDS)
    last = await session(sink, None, part("p", [rated("a", "low"), rated("b", "high")]))
    await session(sink, last, part("q", [rated("a", "high")]))
    assert run(path, "SELECT * FROM claims ORDER BY 1") == [("a", "high", "done"), ("b", "high", "done")]


async def test_upsert_leaves_other_rows_and_columns_alone(path):
    run(
        path,
        "CREATE TABLE claims (claim_id TEXT PRIMARY KEY, note TEXT, severity TEXT, status TEXT)",
        "INSERT INTO claims VALUES ('a', 'mine', 'none', 'new'), ('z', 'mine', 'none', 'new')",
    )
    await session(sqlite(path=path, table="claims", fields=FIELDS), None, part("p", [rated("a", "low")]))
    assert run(path, "SELECT * FROM claims ORDER BY 1") == [("a", "mine", "low", "done"), ("z", "mine", "none", "new")]


async def test_insert_adds_a_row_each_time(path):
    sink = sqlite(path=path, table="claims", mode="insert", fields={"id": "key"})
    await session(sink, None, part("p", [result("a"), result("a")]))
    assert run(path, "SELECT * FROM claims") == [("a",), ("a",)]


async def test_update_changes_rows_that_are_there_and_may_pass_over_those_that_are_not(path):
    run(
        path,
        "CREATE TABLE claims (claim_id INTEGER PRIMARY KEY, severity TEXT, status TEXT, note TEXT)",
        "INSERT INTO claims VALUES (1, NULL, 'new', 'mine'), (2, NULL, 'new', 'mine')",
    )
    sink = sqlite(path=path, table="claims", mode="update", missing="skip", fields=FIELDS)
    receipt = await session(sink, None, part("p", [rated("1", "low"), rated("7", "low"), rated("8", "low")], chunk=2))
    assert run(path, "SELECT * FROM claims") == [(1, "low", "done", "mine"), (2, None, "new", "mine")]
    assert receipt == {"part": "p", "rows": 3, "missing": 2, "refused": 0}


async def test_a_result_without_a_row_to_update_is_never_called_delivered(path):
    """Not even where another key has two rows, so that as many rows as results were changed."""
    run(
        path,
        "CREATE TABLE claims (claim_id, severity, status)",
        "INSERT INTO claims VALUES ('1', '', ''), ('1', '', '')",
    )
    sink = sqlite(path=path, table="claims", mode="update", fields=FIELDS)
    written = await session(sink, None, part("p", [rated("1", "low"), rated("7", "low")]))
    assert [(one.key, "no row to update" in one.why) for one in written.refused] == [("7", True)]
    assert written.receipt["rows"] == 1
    assert run(path, "SELECT severity FROM claims") == [("low",), ("low",)]


@pytest.mark.parametrize("kind", ["", "INTEGER", "TEXT", "NUMERIC", "ANY"])
async def test_update_finds_keys_that_were_numbers_in_a_column_of_any_type(path, kind):
    run(
        path,
        f"CREATE TABLE claims (claim_id {kind}, severity TEXT, status TEXT)",
        "INSERT INTO claims VALUES (0, '', ''), (12, '', ''), ('007', '', ''), ('x', '', '')",
    )
    sink = sqlite(path=path, table="claims", mode="update", fields=FIELDS)
    keys = ["0", "12", "x", *(["007"] if kind in {"", "TEXT"} else [])]
    receipt = await session(sink, None, part("p", [rated(key, key) for key in keys]))
    assert receipt["missing"] == 0
    changed = run(path, "SELECT CAST(claim_id AS TEXT), severity FROM claims WHERE severity != ''")
    assert sorted(changed) == sorted((key, key) for key in keys)


RULES = {
    "NOT NULL": ("CREATE TABLE claims (claim_id PRIMARY KEY, severity TEXT NOT NULL, status)", None),
    "CHECK": ("CREATE TABLE claims (claim_id PRIMARY KEY, severity CHECK (severity != 'x'), status)", "x"),
    "UNIQUE": ("CREATE TABLE claims (claim_id PRIMARY KEY, severity UNIQUE, status)", "s0"),
    "datatype": ("CREATE TABLE claims (claim_id UNIQUE, severity INTEGER PRIMARY KEY, status)", "word"),
    "by a trigger": (
        "CREATE TABLE claims (claim_id PRIMARY KEY, severity, status)",
        "x",
        "CREATE TRIGGER rule BEFORE INSERT ON claims WHEN new.severity = 'x' BEGIN SELECT RAISE(ABORT, 'by a trigger'); END",
    ),
    "half done": (
        "CREATE TABLE claims (claim_id PRIMARY KEY, severity, status)",
        "x",
        "CREATE TRIGGER rule AFTER INSERT ON claims WHEN new.severity = 'x' BEGIN SELECT RAISE(FAIL, 'half done'); END",
    ),
}


@pytest.mark.parametrize("rule", RULES)
async def test_a_row_that_breaks_a_rule_of_the_table_is_refused_and_the_others_are_written(path, rule):
    made, bad, *more = RULES[rule]
    run(path, made, *more)
    good = [rated(f"k{n}", n if rule == "datatype" else f"s{n}") for n in range(9)]
    rows = [*good[:5], rated("bad", bad), *good[5:]]
    for number, row in enumerate(rows):
        row.row = number
    written = await session(sqlite(path=path, table="claims", fields=FIELDS), None, part("p", rows))
    assert [(one.row, one.key) for one in written.refused] == [(5, "bad")]
    assert rule in written.refused[0].why
    assert written.receipt == {"part": "p", "rows": 9, "missing": 0, "refused": 1}
    assert sorted(run(path, "SELECT claim_id FROM claims")) == [(row.key,) for row in good]


async def test_a_rule_that_undoes_the_transaction_refuses_the_part_and_nothing_of_it_is_written(path):
    run(path, "CREATE TABLE claims (claim_id PRIMARY KEY, severity NOT NULL ON CONFLICT ROLLBACK, status)")
    sink = sqlite(path=path, table="claims", fields=FIELDS)
    with pytest.raises(SinkRefused, match="NOT NULL"):
        await session(sink, None, part("p", [rated("a", "low"), rated("b", None)]))
    assert run(path, "SELECT * FROM claims") == []


async def test_update_makes_no_database_and_no_table(path):
    sink = sqlite(path=path, table="claims", mode="update", fields=FIELDS)
    with pytest.raises(SinkError, match="does not exist"):
        await session(sink, None)
    assert not path.exists()
    run(path, "CREATE TABLE other (x)")
    with pytest.raises(SinkError, match="no such table"):
        await session(sink, None)
    assert run(path, "SELECT name FROM sqlite_master") == [("other",)]


async def test_names_are_quoted(path):
    table, column = 'my "odd" table; DROP TABLE x', "select"
    sink = sqlite(path=path, table=table, fields={"the key": "key", column: "text"}, receipts='re"ceipts')
    await session(sink, None, part("p", [result("a", "b")]), part("q", [result("a", "c")]))
    assert run(path, 'SELECT "the key", "select" FROM "my ""odd"" table; DROP TABLE x"') == [("a", "c")]


async def test_structures_are_json_text_and_numbers_are_numbers(path):
    row = result("a")
    row.output = {"list": [1, {"b": None}], "yes": True, "big": 2**70, "half": 0.5}
    fields = {"id": "key", "all": "output", "yes": "output.yes", "big": "output.big", "half": "output.half",
              "message": "message", "tokens": "usage.input_tokens", "cost": "cost"}  # fmt: skip
    await session(sqlite(path=path, table="t", fields=fields), None, part("p", [row]))
    (_, everything, yes, big, half, message, tokens, cost) = run(path, "SELECT * FROM t")[0]
    assert json.loads(everything) == row.output
    assert (yes, big, half, message, tokens, cost) == (1, str(2**70), 0.5, '{"id":"msg_1"}', 10, 0.0000205)


async def test_a_part_is_in_the_table_wholly_or_not_at_all(path):
    sink = sqlite(path=path, table="t")
    await sink.open(context(), None)
    with pytest.raises(Damage):
        await sink.write(part_that_breaks("p", results(0, 3), Damage()))
    assert run(path, "SELECT count(*) FROM t") == [(0,)]
    await sink.write(part("p", results(0, 5)))
    await sink.close()
    assert run(path, "SELECT count(*) FROM t") == [(5,)]


async def test_a_part_that_is_known_is_not_written_again_and_gives_its_receipt(path):
    sink = sqlite(path=path, table="t", mode="insert")
    first = await session(sink, None, part("run-1/b/s/0", results(0, 3)))
    assert await session(sink, None, part("run-1/b/s/0", results(0, 3))) == first
    assert run(path, "SELECT count(*) FROM t") == [(3,)]


async def test_another_run_into_the_same_table_skips_nothing(path):
    sink = sqlite(path=path, table="t", mode="insert")
    await session(sink, None, part("run-1/b/s/0", results(0, 3)))
    await session(sink, None, part("run-2/b/s/0", results(0, 3)), run="run-2")
    assert run(path, "SELECT count(*) FROM t") == [(6,)]


async def test_a_database_that_does_not_know_the_last_part_is_refused(path):
    sink = sqlite(path=path, table="t")
    last = await session(sink, None, part("p", results(0, 3)))
    path.rename(path.with_name("moved.db"))
    with pytest.raises(SinkError, match="does not know part 'p'") as caught:
        await session(sink, last)
    assert "put the database back" in caught.value.hint
    assert run(path, "SELECT name FROM sqlite_master") == []


@pytest.mark.parametrize("mode", ["wal", "delete"])
async def test_the_journal_mode_stays_the_users(path, mode):
    run(path, f"PRAGMA journal_mode = {mode}")
    await session(sqlite(path=path, table="t"), None, part("p", results(0, 3)))
    assert run(path, "PRAGMA journal_mode") == [(mode,)]


async def test_a_locked_database_is_a_sink_error_and_works_later(path):
    sink = sqlite(path=path, table="t", wait=0.0)
    await sink.open(context(), None)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SinkError, match="database is locked"):
            await sink.write(part("p", results(0, 3)))
    await sink.write(part("p", results(0, 3)))
    await sink.close()
    assert run(path, "SELECT count(*) FROM t") == [(3,)]


async def test_between_parts_nothing_is_locked(path):
    sink = sqlite(path=path, table="t")
    await sink.open(context(), None)
    await sink.write(part("p", results(0, 3)))
    run(path, "DELETE FROM t WHERE key = 'k000000'")
    await sink.write(part("q", results(3, 3)))
    await sink.close()
    assert run(path, "SELECT count(*) FROM t") == [(5,)]


@pytest.mark.parametrize(
    ("made", "options", "said", "hint"),
    [
        ("CREATE TABLE t (id TEXT)", {"fields": {"id": "key"}}, "ON CONFLICT", "CREATE UNIQUE INDEX"),
        ("CREATE TABLE t (id TEXT PRIMARY KEY)", {"fields": {"id": "key", "x": "text"}}, "no column named x", "columns"),
        ("CREATE TABLE t (i TEXT)", {"mode": "update", "fields": {"id": "key", "i": "text"}}, "no such column: t.id", "columns"),
    ],
)  # fmt: skip
async def test_a_table_that_does_not_fit_is_found_when_opening(path, made, options, said, hint):
    run(path, made)
    with pytest.raises(SinkError, match=said) as caught:
        await session(sqlite(path=path, table="t", **options), None)
    assert hint in caught.value.hint
    assert run(path, "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'") == [("t",)]


async def test_a_file_that_is_no_database_is_named_and_left_alone(path):
    path.write_text("this is not a database" * 100)
    with pytest.raises(SinkError, match=f"{path}: file is not a database"):
        await session(sqlite(path=path, table="t"), None)
    assert path.read_text() == "this is not a database" * 100


async def test_a_row_that_cannot_be_written_is_named_and_takes_its_part_back(path):
    with pytest.raises(SinkError, match="the row of key 'odd'"):
        await session(sqlite(path=path, table="t"), None, part("p", [result("even"), result("odd", "\ud800")]))
    assert run(path, "SELECT count(*) FROM t") == [(0,)]


async def test_the_users_own_rules_are_told_with_a_next_step(path):
    run(path, "CREATE TABLE t (id TEXT UNIQUE)")
    sink = sqlite(path=path, table="t", mode="insert", fields={"id": "key"})
    written = await session(sink, None, part("p", [result("a"), result("a")]))
    assert "UNIQUE constraint failed" in written.refused[0].why
    assert "mode: upsert" in written.refused[0].why


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "update"}, "needs `fields`"),
        ({"fields": {"x": "text"}}, "finds rows by key"),
        ({"fields": {"x": "key"}, "key": "y"}, "not among the columns"),
        ({"mode": "update", "fields": {"x": "key"}}, "nothing to change"),
        ({"fields": {"x": "usage.y"}}, "known are usage.input_tokens"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_before_any_file_is_touched(path, options, said):
    with pytest.raises(ValueError, match=said):
        sqlite(path=path, table="t", **options)
    assert not path.exists()


async def test_a_key_column_may_be_any_column(path):
    sink = sqlite(path=path, table="t", key="tenant", fields={"tenant": "tenant", "last": "key"})
    await session(sink, None, part("p", results(0, 3)))
    assert run(path, "SELECT * FROM t") == [("north", "k000002")]


async def test_upsert_with_only_a_key_keeps_one_row(path):
    sink = sqlite(path=path, table="t", fields={"id": "key"})
    await session(sink, None, part("p", [result("a"), result("a")]))
    assert run(path, "SELECT * FROM t") == [("a",)]


CLAIMS = "CREATE TABLE claims (claim_id PRIMARY KEY, severity, status)"
IGNORING = {
    "a trigger": (CLAIMS, "CREATE TRIGGER rule BEFORE INSERT ON claims WHEN new.severity = 'x' BEGIN SELECT RAISE(IGNORE); END"),
    "a trigger that writes elsewhere": (
        CLAIMS,
        "CREATE TABLE log (n)",
        """CREATE TRIGGER rule BEFORE INSERT ON claims WHEN new.severity = 'x'
        BEGIN INSERT INTO log VALUES (1), (2); SELECT RAISE(IGNORE); END""",
    ),
    "unique": (
        "CREATE TABLE claims (claim_id PRIMARY KEY, severity UNIQUE ON CONFLICT IGNORE, status)",
        "INSERT INTO claims VALUES ('there', 'x', '')",
    ),
    "not null": ("CREATE TABLE claims (claim_id PRIMARY KEY, severity, status, x AS (nullif(severity, 'x')) NOT NULL ON CONFLICT IGNORE)",),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["insert", "upsert"])
@pytest.mark.parametrize("rule", IGNORING)
async def test_a_row_that_the_table_ignores_is_never_called_delivered(path, rule, mode):
    run(path, *IGNORING[rule])
    rows = [rated(f"k{n}", "x" if n in {2, 7} else f"s{n}") for n in range(9)]
    for number, row in enumerate(rows):
        row.row = number
    sink = sqlite(path=path, table="claims", mode=mode, fields=FIELDS)
    written = await session(sink, None, part("p", rows, chunk=4))
    assert [(one.row, one.key) for one in written.refused] == [(2, "k2"), (7, "k7")]
    assert "ignored it" in written.refused[0].why
    assert "ON CONFLICT IGNORE" in written.refused[0].why
    assert written.receipt == {"part": "p", "rows": 7, "missing": 0, "refused": 2}
    assert len(run(path, "SELECT * FROM claims WHERE claim_id LIKE 'k%'")) == 7
    assert await session(sink, written.receipt, part("p", rows, chunk=4)) == written
    assert len(run(path, "SELECT * FROM claims WHERE claim_id LIKE 'k%'")) == 7


async def test_rows_that_are_ignored_and_rows_that_are_refused_aloud_are_told_apart(path):
    run(
        path,
        CLAIMS.replace("severity", "severity NOT NULL"),
        IGNORING["a trigger"][1],
    )
    rows = [rated("a", "x"), rated("b", "low"), rated("c", None), rated("d", "x"), rated("e", "low")]
    written = await session(sqlite(path=path, table="claims", fields=FIELDS), None, part("p", rows))
    assert [(one.key, one.why[:8]) for one in written.refused] == [
        ("a", "table 'c"),
        ("c", "NOT NULL"),
        ("d", "table 'c"),
    ]
    assert run(path, "SELECT claim_id FROM claims") == [("b",), ("e",)]


async def test_an_upsert_that_changes_a_row_is_delivered_unless_the_table_ignored_the_change(path):
    run(
        path,
        CLAIMS.replace("PRIMARY KEY", "PRIMARY KEY ON CONFLICT IGNORE"),
        "CREATE TRIGGER rule BEFORE UPDATE ON claims WHEN old.status = 'closed' BEGIN SELECT RAISE(IGNORE); END",
        "INSERT INTO claims VALUES ('a', '', 'closed'), ('b', '', 'open'), ('c', 'low', 'done')",
    )
    sink = sqlite(path=path, table="claims", fields=FIELDS)
    written = await session(sink, None, part("p", [rated(key, "low") for key in "abc"]))
    assert [one.key for one in written.refused] == ["a"]
    assert written.receipt["rows"] == 2


async def test_an_upsert_that_has_nothing_to_change_is_delivered_if_the_row_is_there(path):
    run(
        path,
        "CREATE TABLE claims (claim_id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER rule BEFORE INSERT ON claims WHEN new.claim_id = 3 BEGIN SELECT RAISE(IGNORE); END",
        "INSERT INTO claims VALUES (1)",
    )
    sink = sqlite(path=path, table="claims", fields={"claim_id": "key"})
    written = await session(sink, None, part("p", [result(key) for key in ("1", "2", "2", "3")]))
    assert [one.key for one in written.refused] == ["3"]
    assert written.receipt["rows"] == 3


@pytest.mark.parametrize("missing", ["error", "skip"])
async def test_a_change_that_the_table_ignored_is_no_missing_row(path, missing):
    run(
        path,
        CLAIMS,
        "CREATE TRIGGER rule BEFORE UPDATE ON claims WHEN old.status = 'closed' BEGIN SELECT RAISE(IGNORE); END",
        "INSERT INTO claims VALUES ('a', '', 'closed'), ('b', '', 'open')",
    )
    sink = sqlite(path=path, table="claims", mode="update", missing=missing, fields=FIELDS)
    written = await session(sink, None, part("p", [rated(key, "low") for key in "abz"]))
    why = {one.key: one.why for one in written.refused}
    assert list(why) == (["a", "z"] if missing == "error" else ["a"])
    assert "ignored it" in why["a"]
    assert "no row to update" in why.get("z", "no row to update")


async def test_a_view_or_a_virtual_table_that_takes_rows_ignores_none(path):
    run(
        path,
        "CREATE TABLE kept (id PRIMARY KEY, text)",
        "CREATE VIEW answers AS SELECT * FROM kept",
        "CREATE TRIGGER taken INSTEAD OF INSERT ON answers BEGIN INSERT INTO kept VALUES (new.id, new.text); END",
        "CREATE TRIGGER changed INSTEAD OF UPDATE ON answers BEGIN UPDATE kept SET text = new.text WHERE id = old.id; END",
        "CREATE VIRTUAL TABLE found USING fts5(id, text)",
    )
    fields = {"id": "key", "text": "text"}
    for table in ("answers", "found"):
        sink = sqlite(path=path, table=table, mode="insert", fields=fields, receipts=f"of_{table}")
        assert (await session(sink, None, part("p", [result("a"), result("b")])))["rows"] == 2
    sink = sqlite(path=path, table="ANSWERS", mode="update", fields=fields)
    written = await session(sink, None, part("p", [result("a", "new"), result("z", "new")]))
    assert [one.key for one in written.refused] == ["z"]
    assert ("a", "new") in run(path, "SELECT * FROM kept")


def claims_of_customers(path, rule=""):
    run(
        path,
        "CREATE TABLE customers (id PRIMARY KEY)",
        f"CREATE TABLE claims (claim_id PRIMARY KEY, severity REFERENCES customers {rule}, status)",
        "INSERT INTO customers VALUES ('ann')",
    )


@pytest.mark.parametrize("mode", ["insert", "upsert", "update"])
async def test_a_foreign_key_is_a_rule_of_the_table(path, mode):
    claims_of_customers(path)
    run(path, "INSERT INTO claims VALUES ('a', 'ann', ''), ('b', 'ann', '')") if mode == "update" else None
    sink = sqlite(path=path, table="claims", mode=mode, fields=FIELDS)
    written = await session(sink, None, part("p", [rated("a", "ann"), rated("b", "nobody")]))
    assert [(one.key, one.why) for one in written.refused] == [("b", "FOREIGN KEY constraint failed")]
    assert run(path, "SELECT count(*) FROM claims WHERE severity = 'nobody'") == [(0,)]
    assert written.receipt["rows"] == 1


async def test_a_foreign_key_that_is_checked_at_the_end_refuses_the_part_and_the_part_can_come_again(path):
    claims_of_customers(path, "DEFERRABLE INITIALLY DEFERRED")
    sink = sqlite(path=path, table="claims", fields=FIELDS)
    rows = [rated("a", "ann"), rated("b", "bob")]
    with pytest.raises(
        SinkRefused, match=r"FOREIGN KEY constraint failed\. Nothing of this part was written"
    ) as caught:
        await session(sink, None, part("p", rows))
    assert "deferred" in caught.value.hint
    assert run(path, "SELECT * FROM claims") == []
    run(path, "INSERT INTO customers VALUES ('bob')")
    assert (await session(sink, None, part("p", rows)))["rows"] == 2
