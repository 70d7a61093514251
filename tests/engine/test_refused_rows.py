"""A table refuses a row: it holds back no other, is a dead letter of its sink, and comes again when the table is mended."""

import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from bench import every, rules

from batchflow import To
from batchflow.builtin.sinks.sqlite import sqlite
from batchflow.model.errors import RunRefused
from batchflow.model.state import Delivery, DeliveryState, RunState
from batchflow.model.words import Word
from batchflow.plugin import BuildError, Refusal, Written
from batchflow.reports.ledger import report as reported

REFUSING = "CREATE TABLE answers (id TEXT PRIMARY KEY, text TEXT, CHECK (id NOT IN ('k3', 'k14')))"
STILL = "CREATE TABLE answers (id TEXT PRIMARY KEY, text TEXT, CHECK (id NOT IN ('k3')))"
FIELDS = {"id": "key", "text": "text"}


@pytest.fixture
def path(bench):
    return bench.folder / "out.db"


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as database:
        found = [database.execute(one).fetchall() for one in statements]
        database.commit()
    return found[-1]


def mend(path, table="answers"):
    execute(
        path,
        f"ALTER TABLE {table} RENAME TO old",
        f"CREATE TABLE {table} (id TEXT PRIMARY KEY, text TEXT)",
        f"INSERT INTO {table} SELECT * FROM old",
        "DROP TABLE old",
    )


def job(bench, path, *more, rows=30, **options):
    table = To(sink=sqlite(path=path, table="answers", fields=FIELDS), name="table")
    return bench.job(rows, rules=rules(max_requests=10), sinks=[table, *bench.job().sinks, *more], **options)


async def again(bench, job, run):
    async with bench.flow() as flow:
        report = await flow.retry(job, run, {Word.SINK_ERROR})
        await bench.audit(flow.store, report)
        return report


def keys(path, table="answers"):
    return {key for (key,) in execute(path, f"SELECT id FROM {table}")}


async def test_the_others_are_delivered_and_the_refused_rows_are_dead_letters(bench, path):
    bench.simulate()
    execute(path, REFUSING)
    report = await bench.run(job(bench, path))
    assert (report.run.state, report.books["dead"], report.books["delivered"]) == (RunState.DONE, 2, 28)
    assert keys(path) == {f"k{n}" for n in range(30)} - {"k3", "k14"}
    assert len(bench.good) == 30
    assert {(letter.key, letter.word) for letter in bench.dead} == {("k3", Word.SINK_ERROR), ("k14", Word.SINK_ERROR)}
    assert all(letter.text and "CHECK constraint failed" in letter.error for letter in bench.dead)
    assert len(bench.told("part.refused")) == 2
    assert not bench.told("part.failed")


async def test_the_report_names_the_sink_the_row_and_the_reason(bench, path):
    bench.simulate()
    execute(path, REFUSING)
    run = (await bench.run(job(bench, path))).run
    async with bench.flow() as flow:
        found = await reported(flow.store, run, now=0.0)
        (worry,) = found.run.worries
        good = [row.key async for rows in flow.results(run, job(bench, path)) for row in rows]
        dead = [row async for rows in flow.results(run, job(bench, path), on="dead") for row in rows]
    (tally,) = found.dead
    assert (tally.word, tally.count) == ("sink_error", 2)
    assert "sink table refused it: CHECK constraint failed" in tally.example
    assert worry.startswith("sink table refused 2 of the rows, for example k")
    assert "--only sink_error" in worry
    assert len(good) == 28
    assert {(row.key, row.word) for row in dead} == {("k3", Word.SINK_ERROR), ("k14", Word.SINK_ERROR)}


async def test_they_come_again_when_the_table_is_mended_and_nothing_is_asked(bench, path):
    sim = bench.simulate()
    execute(path, REFUSING)
    run = (await bench.run(job(bench, path))).run
    mend(path)
    report = await again(bench, job(bench, path), run)
    assert (report.run.state, report.books["dead"], report.books["delivered"]) == (RunState.DONE, 0, 30)
    assert keys(path) == {f"k{n}" for n in range(30)}
    assert sim.stats()["requests_accepted"] == 30
    assert Counter(row.key for row in bench.good).most_common(1)[0][1] == 1
    with pytest.raises(RunRefused, match="no dead letters of sink_error"):
        await again(bench, job(bench, path), report.run)


async def test_rows_that_are_refused_once_more_can_come_once_more(bench, path):
    bench.simulate()
    execute(path, REFUSING)
    run = (await bench.run(job(bench, path))).run
    for _ in range(2):
        report = await again(bench, job(bench, path), run)
        assert (report.run.state, report.books["dead"], report.books["delivered"]) == (RunState.DONE, 2, 28)
    assert Counter(letter.key for letter in bench.dead) == {"k3": 1, "k14": 1}, (
        "nobody is told twice of one dead letter"
    )
    mend(path)
    report = await again(bench, job(bench, path), run)
    assert (report.books["dead"], report.books["delivered"]) == (0, 30)
    assert keys(path) == {f"k{n}" for n in range(30)}


async def test_of_rows_that_are_brought_again_those_that_are_refused_once_more_can_still_be_told_again(bench, path):
    """One is taken, and one is not: what a sink of dead letters is given anew is only that one, once."""
    bench.simulate()
    execute(path, "CREATE TABLE answers (id TEXT PRIMARY KEY, text TEXT, CHECK (id NOT IN ('k3', 'k4')))")
    run = (await bench.run(job(bench, path))).run
    execute(path, "ALTER TABLE answers RENAME TO old", STILL, "INSERT INTO answers SELECT * FROM old")
    report = await again(bench, job(bench, path), run)
    assert (report.books["dead"], "k4" in keys(path), len(bench.dead)) == (1, True, 2)
    bench.dead.clear()
    async with bench.flow() as flow:
        await flow.replay(job(bench, path), report.run, "dead")
    assert Counter((letter.key, letter.word) for letter in bench.dead) == {("k3", Word.SINK_ERROR): 1}


async def test_a_row_that_two_sinks_refuse_is_dead_once(bench, path):
    bench.simulate()
    execute(path, REFUSING, REFUSING.replace("answers", "copies"))

    def both():
        return job(bench, path, To(sink=sqlite(path=path, table="copies", fields=FIELDS, receipts="r"), name="copy"))

    report = await bench.run(both())
    assert (report.run.state, report.books["dead"], report.books["delivered"]) == (RunState.DONE, 2, 28)
    assert sorted(letter.key for letter in bench.dead) == ["k14", "k3"]
    mend(path, "copies")
    report = await again(bench, both(), report.run)
    assert (report.books["dead"], report.books["delivered"]) == (2, 28)
    mend(path)
    report = await again(bench, both(), report.run)
    assert (report.books["dead"], report.books["delivered"]) == (0, 30)
    assert keys(path) == keys(path, "copies") == {f"k{n}" for n in range(30)}


async def test_a_table_of_dead_letters_may_refuse_one_and_the_run_ends_all_the_same(bench, path):
    bench.simulate("row:number 3:invalid", "row:number 5:invalid")
    execute(path, "CREATE TABLE letters (id TEXT PRIMARY KEY, text TEXT, CHECK (id != 'k5'))")

    def with_letters():
        letters = To(sink=sqlite(path=path, table="letters", fields=FIELDS), on="dead", name="letters")
        return bench.job(10, sinks=[*bench.job().sinks, letters])

    report = await bench.run(with_letters())
    bench.check(report, asked=10, good=8, dead=2)
    assert keys(path, "letters") == {"k3"}
    mend(path, "letters")
    report = await again(bench, with_letters(), report.run)
    bench.check(report, asked=10, good=8, dead=2)
    assert keys(path, "letters") == {"k3", "k5"}


async def test_a_record_that_was_never_asked_may_be_refused_too(bench, path):
    bench.simulate()
    execute(path, "CREATE TABLE letters (id TEXT PRIMARY KEY, text TEXT, CHECK (id != 'k4'))")

    def half():
        letters = To(sink=sqlite(path=path, table="letters", fields=FIELDS), on="dead", name="letters")
        return bench.job(6, request=unbuildable, sinks=[letters])

    report = await bench.run(half())
    assert (report.run.state, report.books["unbuildable"]) == (RunState.DONE, 6)
    assert len(keys(path, "letters")) == 5
    mend(path, "letters")
    await again(bench, half(), report.run)
    assert keys(path, "letters") == {f"k{n}" for n in range(6)}


async def test_rows_that_a_table_ignores_without_a_word_are_dead_letters_and_come_again(bench, path):
    bench.simulate()
    ignoring = "CREATE TRIGGER g BEFORE INSERT ON answers WHEN new.id IN ('k3', 'k14') BEGIN SELECT RAISE(IGNORE); END"
    execute(path, "CREATE TABLE answers (id TEXT PRIMARY KEY, text TEXT)", ignoring)
    report = await bench.run(job(bench, path))
    assert (report.run.state, report.books["dead"], report.books["delivered"]) == (RunState.DONE, 2, 28)
    assert {letter.key for letter in bench.dead} == {"k3", "k14"}
    assert all("ignored it" in letter.error for letter in bench.dead)
    execute(path, "DROP TRIGGER g")
    report = await again(bench, job(bench, path), report.run)
    assert (report.run.state, report.books["dead"], report.books["delivered"]) == (RunState.DONE, 0, 30)
    assert keys(path) == {f"k{n}" for n in range(30)}


async def test_a_foreign_key_that_is_checked_at_the_end_parks_its_part_until_the_table_is_mended(bench, path):
    sim = bench.simulate()
    deferred = "CREATE TABLE answers (id TEXT PRIMARY KEY REFERENCES known DEFERRABLE INITIALLY DEFERRED, text TEXT)"
    known = [f"INSERT INTO known VALUES ('k{n}')" for n in range(30)]
    execute(path, "CREATE TABLE known (id PRIMARY KEY)", deferred, *known[:29])
    report = await bench.run(job(bench, path))
    assert report.run.state is RunState.PAUSED
    assert "FOREIGN KEY constraint failed" in report.run.why
    async with bench.flow() as flow:
        [parked] = await every(flow.store, Delivery, {"run": report.run.id, "state": DeliveryState.PARKED})
    assert "FOREIGN KEY constraint failed" in parked.why
    assert "k29" not in keys(path)
    assert len(keys(path)) == 30 - parked.rows
    execute(path, known[29])
    async with bench.flow() as flow:
        report = await flow.resume(job(bench, path), report.run)
        await bench.audit(flow.store, report)
    assert (report.run.state, report.books["dead"], report.books["delivered"]) == (RunState.DONE, 0, 30)
    assert keys(path) == {f"k{n}" for n in range(30)}
    assert sim.stats()["requests_accepted"] == 30


def unbuildable(record):
    raise BuildError("there is nothing to ask")


class Odd:
    """A sink that refuses a row of its own making."""

    promise = "keyed"

    async def open(self, context, last):
        pass

    async def write(self, part):
        async for _ in part.rows:
            pass
        return Written(receipt={}, refused=[Refusal(row=77, key="k77", why="who is it?")])

    async def close(self):
        pass


async def test_a_sink_that_refuses_what_it_was_not_given_is_named(bench):
    bench.simulate()
    report = await bench.run(bench.job(10, sinks=[*bench.job().sinks, To(sink=Odd(), name="odd")]))
    assert report.run.state is RunState.PAUSED
    assert "Odd gave 77" in report.run.why
    async with bench.flow() as flow:
        parts = await every(flow.store, Delivery, {"run": report.run.id, "sink": "odd"})
    assert [part.state for part in parts] == [DeliveryState.PARKED]


@pytest.mark.parametrize("mended", [True, False])
async def test_a_replay_brings_refused_rows_in_their_own_part_only(bench, path, mended):
    """Else a sink that refuses them once more would never be done, and one that takes them would get them twice."""
    bench.simulate()
    execute(path, REFUSING)
    run = (await bench.run(job(bench, path))).run
    path.unlink()
    execute(path, REFUSING.partition(", CHECK")[0] + ")" if mended else REFUSING)
    async with bench.flow() as flow:
        report = await flow.replay(job(bench, path), run, "table")
        await bench.audit(flow.store, report)
    assert (report.run.state, report.books["dead"]) == (RunState.DONE, 2)
    assert keys(path) == {f"k{n}" for n in range(30)} - {"k3", "k14"}
    report = await again(bench, job(bench, path), run)
    assert (len(keys(path)), report.books["dead"]) == ((30, 0) if mended else (28, 2))
