"""A power cut leaves of our own files what was flushed to disk: whatever a commit speaks of must have been, before it.

SQLite sees to its own file (synchronous FULL, tests/builtin/stores/test_sqlite_file.py). Here `os.fsync` is listened to.
First, each time that a commit is told of, what was not flushed yet is what a power cut would take. Then real processes
are killed at every step they take with a file, what was not flushed is taken from them (tests/support/disk.py), and the
next one must come to what a run comes to that nobody disturbed.
"""

import os
import random
import zlib
from itertools import count
from pathlib import Path

import pytest
from bench import rules
from crashes import FAULTS, LANES, Matrix, Story, lane_of, undisturbed
from disk import Chance, Disk, Nothing, Sizes

from batchflow import To
from batchflow.builtin.sinks.csv import csv
from batchflow.builtin.sinks.jsonl import jsonl
from batchflow.sim import FaultPlan


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


FATES = {"nothing": Nothing, "sizes": Sizes, "chance": Chance}
FILES = ("flush", "object", "amid writing", "part for", "outlet", "of a table")
"""What is in the names of steps that have to do with files, and of the commits that speak of them."""


class PowerCut(Story):
    """Processes that are killed, and what they had not flushed is lost."""

    def __init__(self, forge, sim, folder, fate):
        super().__init__(forge, sim, folder)
        self.disk = str(folder.with_name(f"{folder.name}-disk"))
        self._fate = fate(random.Random(folder.name))

    def run(self, point=None):
        if died := super().run(point):
            Disk(self.folder, self.disk).cut_power(self._fate)
        return died


@pytest.fixture(scope="module")
def cuts(forge, sim, tmp_path_factory):
    """Begins a story on a server that has forgotten everything before."""
    numbers = count()
    folder = tmp_path_factory.mktemp("power")

    def begin(fate="nothing"):
        sim.reset(FaultPlan.parse(FAULTS))
        return PowerCut(forge, sim, folder / str(next(numbers)), FATES[fate])

    return begin


@pytest.fixture(scope="module")
def quiet(cuts):
    points, outcome = undisturbed(cuts)
    return {name: point for name, point in points.items() if any(what in name for what in FILES)}, outcome


FEW = [
    "after flush of an object #1", "after object requests #1", "amid writing .out.jsonl.batchflow #3",
    "before flush of .out.jsonl.batchflow #2", "after flush of .out.jsonl.batchflow #2",
    "amid writing out.jsonl #1", "before flush of out.jsonl #2", "after flush of out.csv #2",
    "after commit (outlet, part for jsonl done) #1",
]  # fmt: skip


@pytest.mark.parametrize("fate", FATES)
def test_power_cut_at_a_few_steps_loses_doubles_and_tears_nothing(cuts, quiet, fate):
    points, outcome = quiet
    matrix = Matrix(lambda: cuts(fate), outcome)
    for name in FEW:
        matrix.tell(points[name])
    matrix.check()


def fates_at(point, *, every):
    """Deals fates to steps: half of the steps have one, or every step has all of them."""
    number = zlib.crc32(point.name.encode()) // LANES
    return FATES if every else list(FATES)[number % 3 : number % 3 + number % 2]


@pytest.mark.slow
@pytest.mark.parametrize("lane", range(LANES))
def test_power_cut_at_any_step_loses_doubles_and_tears_nothing(request, cuts, quiet, lane):
    """At half of the steps; `--all-kills` cuts the power at all, and each time with every fate."""
    points, outcome = quiet
    matrices = {fate: Matrix(lambda fate=fate: cuts(fate), outcome) for fate in FATES}
    for point in lane_of(points, lane):
        for fate in fates_at(point, every=request.config.getoption("--all-kills")):
            matrices[fate].tell(point)
    for matrix in matrices.values():
        matrix.check()
    assert sum(matrix.told for matrix in matrices.values()) > 3
