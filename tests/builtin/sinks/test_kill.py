"""Real processes, killed at seeded places and started again until the work is done."""

import csv
import io
import json
import random
import signal
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

PARTS, ROWS, KILLS = 14, 150, 20
CHILD = Path(__file__).with_name("killable.py")
FOREIGN = {"jsonl": b'{"id": "theirs", "text": "an unfinished line"}', "csv": b"id,text\r\ntheirs,an unfinished line"}


class Work:
    """One target, its state, and the processes that work on them."""

    def __init__(self, forge, folder, kind):
        self._forge = forge
        self._folder = folder
        self.kind = kind
        self.target = folder / f"out.{kind}"
        self.state = folder / "state.json"

    def run(self, how="never", where=0):
        """Lets a process work, and die or not; says how it ended."""
        words = (self.kind, str(self.target), str(self.state), str(PARTS), how, str(where))
        with self._forge.begin(*words, program=CHILD, folder=self._folder) as process:
            _, said = process.communicate()
        assert process.returncode in {0, -signal.SIGKILL, -signal.SIGXFSZ}, said
        return process.returncode

    def killed_somewhere(self, dice):
        how, where = self._place_to_die(dice)
        return how if self.run(how, where) else "survived"

    def finish(self):
        assert self.run() == 0

    def size(self):
        return self.target.stat().st_size if self.target.exists() else 0

    def confirmed(self):
        return json.loads(self.state.read_text())["receipt"]["end"]["offset"] if self.state.exists() else 0

    def _place_to_die(self, dice):
        how = dice.choice(["bytes", "bytes", "bytes", "rows", "before commit", "after commit"])
        most = {"bytes": 40_000, "rows": 10}.get(how, 2)
        return how, dice.randrange(1 if how == "bytes" else 0, most) + (self.size() if how == "bytes" else 0)


def expected():
    return Counter((f"k{n}", f"answer {n}\n" + "é\u2028" * (n % 50)) for n in range(PARTS * ROWS))


def rows_of_jsonl(data):
    return [(row["id"], row["text"]) for row in map(json.loads, data.decode().split("\n")[:-1])]


def rows_of_csv(data):
    header, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
    assert header == ["id", "text"]
    return [(key, text) for key, text in rows]


READ = {"jsonl": rows_of_jsonl, "csv": rows_of_csv}


@pytest.mark.parametrize("before", [True, False], ids=["after foreign lines", "in a new file"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_file_whose_writer_was_killed_over_and_over_holds_every_row_once(forge, tmp_path, kind, before):
    work = Work(forge, tmp_path, kind)
    foreign = FOREIGN[kind] if before else b""
    if before:
        work.target.write_bytes(foreign)
    dice = random.Random(f"{kind} {before}")
    deaths, torn = Counter(), 0
    for _ in range(KILLS):
        deaths[work.killed_somewhere(dice)] += 1
        torn += work.confirmed() not in {work.size(), 0}
        assert work.size() == 0 or work.target.read_bytes().startswith(foreign)
    work.finish()
    data = work.target.read_bytes()
    assert data.startswith(foreign)
    assert data.endswith(b"\n")
    assert Counter(READ[kind](data)) == expected() + Counter([("theirs", "an unfinished line")] if before else [])
    assert deaths["survived"] <= KILLS / 2
    assert torn >= 3
    assert not list(tmp_path.glob(".*.batchflow"))


def test_a_table_whose_writer_was_killed_over_and_over_holds_every_row_once(forge, tmp_path):
    work = Work(forge, tmp_path, "sqlite")
    dice = random.Random(7)
    for _ in range(10):
        how = dice.choice(["rows", "before commit", "after commit"])
        assert work.run(how, dice.randrange(12 if how == "rows" else 2)) == -signal.SIGKILL
    work.finish()
    database = sqlite3.connect(work.target)
    assert Counter(database.execute("SELECT id, text FROM answers")) == expected()
    assert database.execute("SELECT count(*) FROM _batchflow_receipts").fetchone() == (PARTS,)
    database.close()
