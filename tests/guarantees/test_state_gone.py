"""The state folder is deleted and the job run again: it is paid again, and the database that knows old parts skips none."""

import shutil
import sqlite3
from contextlib import closing

from batchflow import To
from batchflow.builtin.sinks.sqlite import sqlite


def job(bench, path):
    return bench.job(30, sinks=[To(sink=sqlite(path=path, table="answers", key="key"), name="table")])


async def test_a_job_begun_afresh_into_the_same_database_skips_no_part(bench, tmp_path):
    bench.simulate()
    path = tmp_path / "out.db"
    await bench.run(job(bench, path))
    shutil.rmtree(bench.folder / "state")
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute("DELETE FROM answers").rowcount == 30
    report = await bench.run(job(bench, path))
    assert report.books["delivered"] == 30
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(DISTINCT key), count(*) FROM answers").fetchone() == (30, 30)
    assert bench.sim.stats()["requests_accepted"] == 60
