"""After a kill the next process goes on where the books stand: what was packed is not read again, neither from the source nor from objects."""

import sqlite3
from contextlib import closing
from functools import partial

import pytest
from bench import ask, rules

from batchflow.builtin.retry import standard
from batchflow.builtin.sources.sqlite import sqlite
from batchflow.builtin.stores.folder import folder
from batchflow.model.record import Page, Record
from batchflow.model.state import Batch, Run
from batchflow.ports.builder import BuildError
from batchflow.stages.retell import last_keys

PAGE = 5
RECORDS = 200


class Killed(BaseException):
    """Stands for SIGKILL."""


class Numbers:
    """A source that remembers from where it was read, and what it gave."""

    def __init__(self):
        self.after = []
        self.given = 0

    async def read(self, after):
        self.after.append(after)
        for at in range((after or {"at": 0})["at"], RECORDS, PAGE):
            self.given += PAGE
            data = [{"id": f"k{n}", "text": "a claim"} for n in range(at, at + PAGE)]
            yield Page([Record(row["id"], row, f"row {n}") for n, row in enumerate(data, at)], {"at": at + PAGE})

    async def fingerprint(self):
        return "numbers"


class Watched:
    """An object store that remembers what was read."""

    def __init__(self, real):
        self._real = real
        self.read_names = []

    def __getattr__(self, name):
        return getattr(self._real, name)

    def read(self, blob, **how):
        self.read_names.append(blob.name)
        return self._real.read(blob, **how)


async def killed_at(bench, kind, n):
    """Runs a process until the n-th event of a kind has been committed; gives what it read."""
    left = n

    def listen(event):
        nonlocal left
        left -= event.kind == kind
        if left == 0:
            raise Killed

    source, blobs = Numbers(), Watched(folder(path=bench.folder / "state" / "objects"))
    job = bench.job(source=source, rules=rules(max_requests=10, in_flight=4))
    with pytest.raises(BaseExceptionGroup) as caught:
        await bench.run(job, on_event=listen, blobs=blobs)
    assert caught.group_contains(Killed)
    return source, [name for name in blobs.read_names if name.endswith("/context")]


async def state(bench):
    async with bench.flow() as flow:
        (run,) = await flow.store.find(Run, {})
        return run, await flow.store.find(Batch, {})


async def test_what_was_packed_is_not_read_again(bench):
    """Killed between a batch's commit and the checkpoint of its keys: that one batch's keys are learnt again, no more."""
    bench.simulate("create::duration,seconds=100000000")
    await killed_at(bench, "batch.drafted", 5)
    run, packed = await state(bench)
    source, contexts = await killed_at(bench, "batch.drafted", 1)
    assert len(packed) == 5
    assert source.after == [run.position.cursor]
    assert source.given <= 10 + 2 * PAGE
    assert set(contexts) == {packed[-1].context.name}


async def test_rows_whose_driver_died_before_they_were_marked_are_marked_by_the_next_one(bench):
    """Killed between the commit that drafted the second batch and `on_submit`; the next process reads on behind it."""
    sim = bench.simulate()
    path = bench.folder / "claims.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table claims (id integer primary key, text, n, status default 'new')")
        rows = [(n, f"claim {n}", n) for n in range(25)]
        database.executemany("insert into claims (id, text, n) values (?, ?, ?)", rows)
        database.commit()

    def build(record):
        if record["n"] % 5 == 3:
            raise BuildError("nobody can ask this")
        return ask(record)

    source = partial(
        sqlite,
        path=path,
        query="select * from claims where status = 'new'",
        key="id",
        on_submit="update claims set status = 'pending' where id = :key",
    )
    drafted = 0

    def listen(event):
        nonlocal drafted
        drafted += event.kind == "batch.drafted"
        if event.kind == "batch.drafted" and drafted == 2:
            raise Killed

    with pytest.raises(BaseExceptionGroup):
        await bench.run(bench.job(source=source(), request=build, rules=rules(max_requests=8)), on_event=listen)
    assert marked(path) < 25
    bench.check(
        await bench.run(bench.job(source=source(), request=build, rules=rules(max_requests=8))),
        good=20,
        dead=5,
        asked=20,
    )
    assert marked(path) == 25
    assert sim.stats()["requests_accepted"] == 20
    async with bench.flow() as flow:
        job, run = bench.job(source=source()), await flow.last(bench.job())
        kit = flow._kit(run, job.parts(standard()), flow._lease(f"run/{run.id}"))
        assert await last_keys(kit) == [], (
            "what a sink has is not marked again: it may have been marked otherwise since"
        )


def marked(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("select count(*) from claims where status = 'pending'").fetchone()[0]
