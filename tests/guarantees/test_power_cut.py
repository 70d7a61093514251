"""A power cut leaves of our own files what was flushed to disk: whatever a commit speaks of must have been, before it.

SQLite sees to its own file (synchronous FULL, tests/builtin/stores/test_sqlite_file.py). Here `os.fsync` is listened to, and
each time that a commit is told of, what was not flushed yet is what a power cut would take.
"""

import os
from pathlib import Path

import pytest
from bench import rules

from batchflow import To
from batchflow.builtin.sinks.csv import csv
from batchflow.builtin.sinks.jsonl import jsonl


@pytest.fixture
def flushed(monkeypatch):
    """Notes how much of each file, by its inode, has reached the disk."""
    sizes, sync = {}, os.fsync

    def listen(file):
        sync(file)
        told = os.fstat(file)
        sizes[told.st_ino] = told.st_size

    monkeypatch.setattr(os, "fsync", listen)
    return sizes


def unflushed(files, flushed):
    """Lists the files that a power cut would shorten."""
    told = {path: path.stat() for path in files if path.is_file()}
    return [str(path) for path, stat in told.items() if flushed.get(stat.st_ino, 0) < stat.st_size]


async def test_what_a_commit_speaks_of_was_on_disk_before_it(bench, flushed, tmp_path):
    bench.simulate("row:number 3:overloaded")
    objects, out = bench.folder / "state" / "objects", [tmp_path / "out.jsonl", tmp_path / "out.csv"]
    at_risk, looked = [], []

    def power_cut(event):
        if event.kind in {"batch.drafted", "batch.collected", "part.delivered"}:
            finished = [path for path in objects.rglob("*") if "~unfinished" not in path.parts and path.name[0] != "."]
            # Of the sink that is told of: the other may be in the middle of its writing.
            told_of = [path for path, name in zip(out, ("lines", "table"), strict=True) if event.text.endswith(name)]
            written = told_of if bench.sim.stats()["batches_created"] == 1 else []
            looked.extend(path.name for path in [*finished, *written] if Path(path).is_file())
            at_risk.extend(unflushed([*finished, *written], flushed))

    sinks = [
        To(sink=jsonl(path=out[0]), name="lines"),
        To(sink=csv(path=out[1], fields={"key": "key", "text": "text"}), name="table"),
    ]
    report = await bench.run(bench.job(30, sinks=sinks, rules=rules(max_requests=100)), on_event=power_cut)
    assert report.books["delivered"] == 30
    assert len(looked) > 6
    assert at_risk == []
    assert unflushed(out, flushed) == []
