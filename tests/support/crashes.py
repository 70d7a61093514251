"""Crash tests: one job in processes that are killed at chosen places, and what must hold when the last one is done."""

import csv
import json
import signal
import sqlite3
import zlib
from collections import Counter
from urllib.request import Request, urlopen

import msgspec

from batchflow.sim import FaultPlan, Rule

KILLED = -signal.SIGKILL
DELIVERED, DEAD_LETTERS = 0, 4
"""How `run` ends: the first when a process before had done everything, down to its last commit."""
SPEED = 100.0
"""Batches take no time. The grace is of real time, and short: what a dead process had sent has arrived before that, see `settle`."""
FAULTS = ("row:claim 2:pause_turn", "row:claim 3:pause_turn", "row:claim 7:invalid")
"""Rows that are asked twice, and one that dies: a crash must not lose or double these either. The first two are in one batch,
so that they are asked again in one: undisturbed runs must take the same steps."""
BAD, DOUBLE = '{"id": "k-bad", "text": ', '{"id": "k-1", "text": "again"}'
RECORDS = [*(json.dumps({"id": f"k-{n}", "text": f"claim {n} burst"}) for n in range(14)), BAD, DOUBLE]
JOB = """
version: 1
provider: {{base_url: "{url}", api_key: "{key}"}}
jobs:
  claims:
    source: {{type: jsonl, path: in.jsonl, key: id, carry: [text]}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ text }}}}"}}
    batch: {{max_requests: 8}}
    submit: {{grace: 0.2s}}
    retry: {{after: 1s}}
    sinks:
      - {{type: jsonl, path: out.jsonl}}
      - {{type: csv, path: out.csv}}
      - {{type: sqlite, path: out.db, table: answers, key: key}}
      - {{type: jsonl, path: dead.jsonl, on: dead}}
"""


class Point(msgspec.Struct, frozen=True):
    """A place to die at: one that the process names itself, or one in a call that the server sees."""

    name: str
    rule: Rule | None = None


class Workplace:
    """One folder with a job, and the processes that work on it."""

    speed = SPEED
    began = None
    """When hasty time was real time; None where leases take their time."""
    disk = ""
    """Where to keep what is flushed; nowhere where no power is cut."""

    def __init__(self, forge, folder, job, records):
        folder.mkdir()
        self.folder = folder
        self.processes = 0
        self._forge = forge
        (folder / "in.jsonl").write_text("\n".join(records) + "\n")
        (folder / "batchflow.yaml").write_text(job)

    def make(self, *words, end="", blow="SIGKILL"):
        """Forks a process that is to type this, and that the signal `blow` hits at `end`; it waits to be let go."""
        self.processes += 1
        spec = {
            "folder": str(self.folder), "end": end, "blow": blow, "seed": self.processes, "speed": self.speed,
            "began": self.began, "disk": self.disk, "trail": f"trail-{self.processes}",
        }  # fmt: skip
        with self._path("said").open("wb") as said, self._path("log").open("ab") as log:
            return self._forge.held(*words, folder=self.folder, stdout=said, stderr=log, first=[("places:begin", spec)])

    def heard(self, what, process=None):
        """Gives what a process, or the last one, left: its `said`, its `log` or its `trail`."""
        return self._path(what, process).read_text()

    def _path(self, what, process=None):
        return self.folder / f"{what}-{process or self.processes}"


class Story(Workplace):
    """One folder with a job, and the processes that worked on it one after the other."""

    def __init__(self, forge, sim, folder):
        self._key = f"sk-{folder.name}"
        super().__init__(forge, folder, JOB.format(url=sim.url, key=self._key), RECORDS)
        self.sim = sim
        self._calls = 0

    def run(self, point=None):
        """Types `batchflow run` in a process that dies at this point, or not at all; True when it died."""
        ended = self._type("run", "--json", point=point)
        assert ended in {DELIVERED, DEAD_LETTERS, KILLED}, (ended, self.heard("log"))
        return ended == KILLED

    def _type(self, *words, point=None):
        self._calls = len(self.sim.calls)
        with self.make(*words, end=point.name if point and point.rule is None else "") as process:
            rules = [msgspec.structs.replace(point.rule, pid=process.pid)] if point and point.rule else []
            self.sim.set_faults(FaultPlan.parse(FAULTS).plus(FaultPlan(rules=rules)))
            process.let_go()
            ended = process.wait()
        settle(self.sim)
        self.sim.set_faults(FaultPlan.parse(FAULTS))  # what was meant for that process must hit nobody else's calls
        return ended

    def points(self):
        """Lists every point that the last process passed."""
        trail = self.heard("trail").splitlines()
        return {name: Point(name) for name in trail} | {point.name: point for point in self._points_of_calls()}

    def _points_of_calls(self):
        times = Counter()
        for heard in self.sim.calls[self._calls :]:
            times[heard.endpoint] += 1
            nth = times[heard.endpoint]
            for where, how in self._moments(heard):
                rule = Rule(on=heard.endpoint, fault="kill", nth=nth, **how)
                yield Point(f"{heard.endpoint} call #{nth}, {where}", rule)

    def _moments(self, heard):
        """Lists the moments of a call: before it is heard, with its body on the way, and with its work done."""
        yield "before it is heard", {"when": "before"}
        yield "done and not answered", {"when": "after"}
        size = self._size(heard)
        for share in BYTES.get(heard.endpoint, ()):
            yield f"{share:.0%} of its body", {"at_byte": int(size * share)}

    def _size(self, heard):
        """Tells how long the body of a call was: the one that was sent, or the file that was downloaded."""
        if heard.endpoint != "results":
            return int(heard.headers.get("content-length", 0))
        headers = {"x-api-key": self._key, "anthropic-version": "2023-06-01"}
        with urlopen(Request(self.sim.url + heard.path, headers=headers)) as reply:
            return len(reply.read())

    def outcome(self):
        """What came of it, without what may differ: batches, times, and which attempt it was."""
        assert self._type("ps", "--json") == 0, self.heard("log")
        run = json.loads(self.heard("said"))[0]
        stats = self.sim.stats()
        return {
            "state": run["state"],
            "balanced": run["balanced"],
            "books": {name: run["books"][name] for name in COMPARED},
            "asked": stats["requests_accepted"],
            "billed": stats["rows_billed"],
            "jsonl": lines(self.folder / "out.jsonl"),
            "csv": table(self.folder / "out.csv"),
            "sqlite": database(self.folder / "out.db"),
            "dead": lines(self.folder / "dead.jsonl"),
        }


RUNS = 3
"""Undisturbed runs that are looked at: how often one polls differs, and only what all of them did is surely done again."""
NOISE = 0.05
"""A process that polls less often than those before it never comes to some points: to no more than this share of them."""


def undisturbed(story):
    """Gives the points that every undisturbed run passes, and what comes of it."""
    passed, outcomes = [], []
    for _ in range(RUNS):
        quiet = story()
        assert not quiet.run()
        passed.append(quiet.points())
        outcomes.append(quiet.outcome())
    assert all(outcome == outcomes[0] for outcome in outcomes)
    every = set.intersection(*map(set, passed))
    return {name: point for name, point in passed[0].items() if name in every}, outcomes[0]


class Matrix:
    """Tells stories of processes that die, and holds each against one in which nobody does."""

    def __init__(self, story, expected):
        self._story = story
        self._expected = expected
        self.told = 0
        self.missed = []
        self.wrong = {}

    def tell(self, *points):
        """Lets a process die at each point, and one more end the work; gives the points that the last one passed."""
        one = self._story()
        died = [one.run(point) for point in points]
        if died[-1]:
            assert not one.run()
        passed = one.points()
        self.told += 1
        names = " | ".join(point.name for point in points)
        if not all(died):
            self.missed.append(names)
        if (found := one.outcome()) != self._expected:
            self.wrong[names] = {
                what: (self._expected[what], found[what]) for what in found if found[what] != self._expected[what]
            }
        return passed

    def check(self, noise=NOISE):
        assert self.wrong == {}
        assert len(self.missed) <= max(1, self.told * noise), self.missed


LANES = 8
"""The points are dealt to so many tests, to be run side by side."""
BYTES = {"create": (0.0, 0.5, 0.99), "results": (0.0, 0.3, 0.8, 1.0)}
"""How far a body gets."""


def lane_of(points, lane):
    """Deals by name, for each process that runs tests has looked at undisturbed runs of its own."""
    return [point for name, point in points.items() if zlib.crc32(name.encode()) % LANES == lane]


def settle(sim):
    """Waits until what a dead process had sent has arrived, or is lost: the server has nothing more to hear from it."""
    while sim.stats()["connections"]:
        pass
    for _ in range(3):
        sim.stats()


COMPARED = (
    "read", "duplicate", "unbuildable", "built", "rows", "waiting", "in_flight", "collected", "delivered", "dead",
    "canceled", "reserved", "paid", "listed", "waste", "retried",
)  # fmt: skip
TOLD = ("key", "word", "text", "error")


def lines(path):
    rows = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    return Counter(tuple(row.get(name) for name in TOLD) for row in rows)


def table(path):
    with path.open(newline="") as file:
        return Counter(tuple(row[name] for name in TOLD if name in row) for row in csv.DictReader(file))


def database(path):
    connection = sqlite3.connect(path)
    rows = Counter(connection.execute("SELECT key, word, text FROM answers").fetchall())
    connection.close()
    return rows
