"""Replay with tables and functions for sinks: what keeps receipts beside its data is given only what it lacks."""

import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from bench import rules

from batchflow import To
from batchflow.builtin.sinks.sqlite import sqlite
from batchflow.model.state import RunState


def keys(path):
    with closing(sqlite3.connect(path)) as database:
        return Counter(key for (key,) in database.execute("SELECT id FROM answers"))


async def replayed(bench, job, run, sink):
    async with bench.flow() as flow:
        report = await flow.replay(job, run, sink)
        await bench.audit(flow.store, report)
    assert report.run.state is RunState.DONE
    assert bench.sim.stats()["requests_accepted"] == 30
    return report


@pytest.mark.parametrize("lost", [True, False])
async def test_a_table_has_every_row_once_be_its_file_lost_or_not(bench, lost):
    bench.simulate()
    path = bench.folder / "out.db"

    def job():
        table = sqlite(path=path, table="answers", mode="insert", fields={"id": "key", "text": "text"})
        return bench.job(30, rules=rules(max_requests=10), sinks=[To(sink=table, name="table"), *bench.job().sinks])

    report = await bench.run(job())
    before = keys(path)
    if lost:
        path.unlink()
    await replayed(bench, job(), report.run, "table")
    assert keys(path) == before
    assert set(before.values()) == {1}
    assert len(before) == len(bench.good) == 30


async def test_a_function_is_given_everything_again_and_the_books_stay_as_they_were(bench):
    bench.simulate()
    report = await bench.run(bench.job(30))
    bench.good.clear()
    again = await replayed(bench, bench.job(30), report.run, "good")
    assert len(bench.good) == 30
    assert again.books == report.books
