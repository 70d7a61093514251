"""`batchflow run`, stopped with SIGSTOP for longer than its lease and woken with SIGCONT: a laptop's lid, a debugger, `kill -STOP`.

Real processes and real signals; only a minute takes two seconds, for each process alike. The one who sleeps is stopped at
places of its own choosing (tests/support/places.py), the one who takes over types `batchflow run` until it may.
"""

import json
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from itertools import count

import pytest
from crashes import DELIVERED, Workplace, settle

from batchflow.cli.exits import Exit
from batchflow.sim import FaultPlan

JOB = """
version: 1
provider: {{base_url: "{url}", api_key: "sk-sleeper"}}
jobs:
  claims:
    source: {{type: jsonl, path: in.jsonl, key: id}}
    request: {{model: claude-haiku-4-5, max_tokens: 2000, prompt: "Summarise {{{{ text }}}}"}}
    submit: {{grace: 10s}}
    retry: {{after: 1s}}
    sinks: [{{type: {sink}, path: {path}, {more}}}]
"""
TABLE = {"sink": "sqlite", "path": "out.db", "more": "table: answers, key: key"}
LINES = {"sink": "jsonl", "path": "out.jsonl", "more": "on: all"}
ROWS = 8
LONG = "claim {n} " + "burst " * 25_000
"""A body of a megabyte: it leaves in pieces, and no server has the whole before the last one."""


class Sleeper(Workplace):
    """One job, one process that is stopped in the middle of it, and others."""

    speed = 30.0

    def __init__(self, forge, sim, folder, sink):
        self.began = time.time()
        records = [json.dumps({"id": f"k-{n}", "text": LONG.format(n=n)}) for n in range(ROWS)]
        super().__init__(forge, folder, JOB.format(url=sim.url, **sink), records)
        self.database = self.folder / ".batchflow" / "state.db"
        self.sim = sim
        self.sleeping = None

    def fall_asleep(self, place):
        """Runs the job in a process that stops at a place."""
        self.sleeping = self.make("run", end=place, blow="SIGSTOP")
        self.sleeping.let_go()
        assert self.sleeping.pause() is None, self.heard("log")

    def stop(self):
        """Stops it as a person would, at a moment that no process chose; but in no transaction, which shuts all others out."""
        while True:
            self.sleeping.send_signal(signal.SIGSTOP)
            assert self.sleeping.pause() is None
            if not is_locked(self.database):
                return
            self.sleeping.send_signal(signal.SIGCONT)

    def type(self, *words):
        """Types a command in another process; gives its exit code."""
        with self.make(*words) as process:
            process.let_go()
            return process.wait()

    def is_driven(self):
        assert self.type("ps", "--json") == 0, self.heard("log")
        return json.loads(self.heard("said"))[0]["driver"] is not None

    def wake(self):
        """Goes on with the process that sleeps; gives its exit code, and what it said."""
        with self.sleeping as process:
            process.send_signal(signal.SIGCONT)
            return process.wait(), self.heard("log", 1)

    def check(self):
        """Asks what must hold in the end: everything once, paid once, and nothing left over."""
        settle(self.sim)
        stats = self.sim.stats()
        assert stats["requests_accepted"] == stats["rows_billed"] == ROWS
        assert stats["batches_created"] == 1
        assert self.delivered() == Counter(f"k-{n}" for n in range(ROWS))
        assert self.type("ps", "--json") == 0
        [run] = json.loads(self.heard("said"))
        assert (run["state"], run["balanced"]) == ("done", True)
        assert run["books"]["delivered"] == ROWS
        assert run["books"]["waste"] == 0

    def delivered(self):
        if (path := self.folder / "out.jsonl").exists():
            return Counter(json.loads(line)["key"] for line in path.read_text().splitlines())
        return Counter(row[0] for row in rows(self.folder / "out.db", "SELECT key FROM answers"))

    def written(self):
        """What stands in the store that somebody must hold the lease to write."""
        tables = [row[0] for row in rows(self.database, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {"batches", "runs"} < set(tables), tables
        return {table: rows(self.database, f"SELECT * FROM {table}") for table in tables}


def is_locked(database):
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


def rows(database, query):
    connection = sqlite3.connect(database)
    found = connection.execute(query).fetchall()
    connection.close()
    return found


@pytest.fixture
def sleeper(forge, sim, tmp_path):
    numbers = count()

    def make(sink):
        sim.reset(FaultPlan())
        return Sleeper(forge, sim, tmp_path / str(next(numbers)), sink)

    return make


INTENT = "commit (batch submitting, intent) #1"
UNSENT = [
    f"before {INTENT}", f"after {INTENT}", "before create #1",
    "before a piece of a create #1", "before a piece of a create #4", "before a piece of a create #6",
]  # fmt: skip
"""From before the intent, through the middle of the body, to all of it but the closing two bytes."""
SENT = "after create #1"
COLLECTED = "commit (batch collected, entry, part for {} due) #1"
LATER = ["before commit (batch ended) #1", "before object results #1", "before " + COLLECTED, "after " + COLLECTED]
ONLY_LINES = [
    "amid writing .out.jsonl.batchflow #1",
    "amid writing out.jsonl #1",
    "before commit (outlet, part for jsonl done) #1",
]


def taken_over(one, expected=DELIVERED):
    """Has another process try until it may, and finish the run."""
    tried = Counter()
    while (ended := one.type("run")) == Exit.STORE:
        tried[f"is held by process {one.sleeping.pid} on" in one.heard("log")] += 1
    assert ended == expected, one.heard("log")
    assert set(tried) == {True}  # nobody takes a lease from one who sleeps, before it is over


def lapsed(one):
    """Lets the lease lapse, and nobody take it."""
    while one.is_driven():
        pass


def slept(one):
    """What holds of one who wakes up when others were at work: it says why it stops, and has written nothing."""
    before = one.written()
    ended, said = one.wake()
    assert ended == Exit.STORE, said
    assert "error: this process slept" in said
    assert "next:  run it again" in said
    return before


@pytest.mark.parametrize("place", UNSENT)
def test_a_call_that_was_not_whole_is_not_finished_when_another_has_taken_over(sleeper, place):
    one = sleeper(TABLE)
    one.fall_asleep(place)
    taken_over(one)
    assert slept(one) == one.written()
    one.check()


def test_a_reply_that_was_not_read_changes_nothing_when_another_has_taken_over(sleeper):
    """The other has found the batch by its token; that it was created is a fact, and stands there once."""
    one = sleeper(TABLE)
    one.fall_asleep(SENT)
    taken_over(one)
    assert slept(one) == one.written()
    one.check()


@pytest.mark.slow
@pytest.mark.parametrize("place", LATER)
def test_whatever_was_in_hand_is_let_go_when_another_has_taken_over(sleeper, place):
    one = sleeper(TABLE)
    one.fall_asleep(place.format("sqlite"))
    taken_over(one)
    assert slept(one) == one.written()
    one.check()


def test_one_stopped_from_outside_while_it_polls_is_not_waited_for(sleeper, sim):
    """The very signal that a person would send, at a moment that no process chose."""
    one = sleeper(TABLE)
    sim.set_faults(FaultPlan.parse(["create:1:duration,seconds=20000"]))
    one.sleeping = one.make("run")
    one.sleeping.let_go()
    while len([heard for heard in sim.calls if heard.endpoint == "list" and sim.stats()["batches_created"]]) < 3:
        pass
    one.stop()
    taken_over(one)
    assert slept(one) == one.written()
    one.check()


@pytest.mark.slow
@pytest.mark.parametrize("sink", [TABLE, LINES], ids=["table", "lines"])
@pytest.mark.parametrize("place", [*UNSENT, SENT, *LATER])
def test_it_goes_on_by_itself_when_nobody_has_taken_over(sleeper, place, sink):
    one = sleeper(sink)
    one.fall_asleep(place.format(sink["sink"]))
    lapsed(one)
    ended, said = one.wake()
    assert ended == DELIVERED, said
    one.check()


@pytest.mark.parametrize("place", ONLY_LINES)
def test_it_goes_on_in_the_middle_of_a_part_when_nobody_has_taken_over(sleeper, place):
    one = sleeper(LINES)
    one.fall_asleep(place)
    lapsed(one)
    ended, said = one.wake()
    assert ended == DELIVERED, said
    one.check()


@pytest.mark.parametrize("place", [UNSENT[4], *ONLY_LINES])
def test_one_that_sleeps_keeps_its_files_from_others_and_lets_go_when_it_wakes(sleeper, place):
    """A lock on a file does not lapse as a lease does: who takes over is told, and the file is touched by one at a time."""
    one = sleeper(LINES)
    one.fall_asleep(place)
    taken_over(one, expected=Exit.PAUSED if place in ONLY_LINES else Exit.IN_FLIGHT)  # by then all answers are here
    assert "out.jsonl is being written by another run" in one.heard("log")
    assert slept(one) == one.written()
    assert one.type("run") == DELIVERED, one.heard("log")
    one.check()
