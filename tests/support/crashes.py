"""Crash tests: a job in processes that are killed at chosen places, and what must hold when the last one is done."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

KILLED = -signal.SIGKILL
ROWS = 14
RULES = {"max_requests": 8, "grace": 100.0, "after": 1.0}
FAULTS = ("row:number 3:pause_turn", "row:number 9:pause_turn", "row:number 7:invalid")
"""Rows that are asked twice, and rows that die: a crash must not lose or double these either."""


class Forge:
    """The process that forks processes."""

    def __init__(self):
        here = Path(__file__).parent
        self._process = subprocess.Popen(
            [sys.executable, here / "forge.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, **command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Story:
    """One state folder, and the processes that worked on it one after the other."""

    def __init__(self, forge, sim, folder, *, rules=RULES, rows=ROWS):
        folder.mkdir()
        self.folder = folder
        self.sim = sim
        self._forge = forge
        self._spec = {"folder": str(folder), "url": sim.url, "key": f"sk-{folder.name}", "rows": rows, "rules": rules}

    def start(self, **more):
        """Makes a process that waits; gives its pid."""
        return self._forge.do(do="start", spec=self._spec | more)["pid"]

    def finish(self, pid):
        """Lets it go, and tells how it ended."""
        self._forge.do(do="go", pid=pid)
        return self._forge.do(do="wait", pid=pid)["ended"]

    def run(self, *kill):
        """Runs a process that dies there, or not at all; True when it died."""
        ended = self.finish(self.start(**({"kill": kill} if kill else {})))
        assert ended in {0, KILLED}, (self.folder / "log").read_text()
        return ended == KILLED

    def outcome(self):
        """What came out of it, without what may differ: batches, times, and which attempt it was."""
        report = json.loads((self.folder / "report.json").read_text())
        assert report["state"] == "done", report
        return {
            "file": lines(self.folder / "out.jsonl"),
            "dead": lines(self.folder / "dead.jsonl"),
            "table": table(self.folder / "out.db"),
            "asked": self.sim.stats()["requests_accepted"],
            "billed": self.sim.stats()["rows_billed"],
            "books": {name: report["books"][name] for name in COMPARED},
        }


COMPARED = (
    "read", "built", "rows", "waiting", "in_flight", "collected", "delivered", "dead", "canceled", "reserved", "paid",
    "listed", "waste", "retried",
)  # fmt: skip


def lines(path):
    rows = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    return Counter((row["key"], row["word"], row.get("text", ""), row.get("error", "")) for row in rows)


def table(path):
    with sqlite3.connect(path) as database:
        rows = Counter(database.execute("SELECT key, word, text FROM answers").fetchall())
    database.close()
    return rows
