"""Every example runs as its reader would run it, and delivers what it says."""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from processes import BATCHFLOW

from batchflow.sim import FaultPlan, Simulator

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def sim():
    with Simulator(seed=1, speed=3600, duration=600) as running:
        yield running


class Reader:
    """Somebody who copied one example, and types in its folder."""

    def __init__(self, folder: Path, sim: Simulator, forge) -> None:
        self.folder = folder
        self._sim = sim
        self._forge = forge
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "BATCHFLOW_"))}
        self._env = {**kept, "ANTHROPIC_BASE_URL": sim.url, "ANTHROPIC_API_KEY": "any"}

    def types(self, *words: str, exit: int = 0) -> str:
        program, *rest = words if words[0].endswith(".py") else (BATCHFLOW, *words)
        with self._forge.begin(*rest, program=program, folder=self.folder, env=self._env) as process:
            out, err = process.communicate()
        assert process.returncode == exit, out + err
        return out

    def knows(self, variables: dict[str, str]) -> None:
        """Sets some of the environment."""
        self._env |= variables

    def types_first(self, *words: str) -> None:
        """Types a command where no process has imported anything yet."""
        subprocess.run([BATCHFLOW, *words], cwd=self.folder, env=self._env, capture_output=True, check=True)

    def books(self) -> dict[str, int]:
        [run] = json.loads(self.types("ps", "--json"))
        assert run["balanced"]
        assert run["state"] == "done"
        return run["books"]

    def was_billed(self) -> int:
        return self._sim.stats()["requests_accepted"]


@pytest.fixture
def reader(request, tmp_path, sim, forge) -> Reader:
    """Copies the example that the test is named after: `test_01_...` is of `examples/01-...`."""
    [example] = EXAMPLES.glob(f"{request.node.originalname.split('_')[1]}-*")
    leftovers = shutil.ignore_patterns(*(EXAMPLES / ".gitignore").read_text().split())
    return Reader(shutil.copytree(example, tmp_path / example.name, ignore=leftovers), sim, forge)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_01_smallest_answers_every_article(reader):
    reader.types_first("run")
    answers = lines(reader.folder / "summaries.jsonl")
    assert sorted(str(answer["key"]) for answer in answers) == ["a1", "a2", "a3", "a4", "a5"]
    assert all(answer["word"] == "ok" and answer["text"] for answer in answers)
    assert reader.books()["delivered"] == reader.was_billed() == 5


def test_01_smallest_is_not_paid_twice(reader):
    reader.types("run")
    reader.types("run")
    assert reader.was_billed() == 5


def test_02_fills_the_table_and_keeps_the_broken_row(reader):
    reader.types("run", exit=4)
    found = rows(reader.folder / "out/claims.db", "SELECT claim_id, region, severity FROM triage ORDER BY claim_id")
    assert [key for key, _, _ in found] == ["C-1001", "C-1002", "C-1003", "C-1004", "C-2001", "C-2003", "C-2004"]
    assert {region for _, region, _ in found} == {"north", "south", "west"}
    assert {severity for _, _, severity in found} <= {"low", "medium", "high"}
    [dead] = lines(reader.folder / "out/dead.jsonl")
    assert (dead["key"], dead["word"]) == ("C-2002", "build_error")
    assert reader.books()["delivered"] == reader.was_billed() == 7


def test_02_asks_a_cut_answer_again_with_more_room(reader, sim):
    sim.set_faults(FaultPlan.parse(["row:stolen:max_tokens"]))
    reader.types("run", exit=4)
    assert rows(reader.folder / "out/claims.db", "SELECT count(*) FROM triage") == [(7,)]
    books = reader.books()
    assert books["retried"] == 1
    assert books["waste"] > 0
    assert reader.was_billed() == 8


def test_03_marks_answers_and_leaves_the_rest_alone(reader):
    reader.types("prepare.py")
    reader.types("run")
    found = rows(reader.folder / "shop.db", "SELECT id, status, mood IS NOT NULL FROM reviews ORDER BY id")
    assert found == [*((number, "done", 1) for number in range(1, 7)), (7, "done", 0)]
    assert reader.books()["delivered"] == reader.was_billed() == 6


def test_03_marks_what_could_not_be_answered(reader, sim):
    sim.set_faults(FaultPlan.parse(["row:cat:refusal,times=9"]))
    reader.types("prepare.py")
    reader.types("run", exit=4)
    assert rows(reader.folder / "shop.db", "SELECT status, mood FROM reviews WHERE id = 6") == [("failed", "refused")]


def test_03_marks_rows_once_they_are_on_their_way(reader):
    reader.types("prepare.py")
    reader.types("run", "--no-wait", exit=10)
    assert rows(reader.folder / "shop.db", "SELECT DISTINCT status FROM reviews WHERE id < 7") == [("pending",)]
    reader.types("run")
    assert rows(reader.folder / "shop.db", "SELECT DISTINCT status FROM reviews") == [("done",)]
    assert reader.was_billed() == 6


def test_04_makes_an_abstract_of_every_file(reader):
    reader.types("run")
    with (reader.folder / "abstracts.csv").open(newline="") as file:
        found = {row["file"]: row["kind"] for row in csv.DictReader(file)}
    assert found == {"tides.md": "text", "old/salt.txt": "text", "windmills.pdf": "document"}
    assert reader.books()["delivered"] == reader.was_billed() == 3


def test_05_answers_every_ticket_beside_another_task(reader):
    told = reader.types("main.py").splitlines()
    assert "done: 40 delivered" in told
    assert "tick" in told
    answered = (reader.folder / "next-steps.md").read_text().splitlines()
    assert {line.partition(":")[0] for line in answered} == {f"t-{number}" for number in range(1, 41)}
    assert reader.was_billed() == 40


def test_06_uses_the_parts_of_the_plugin(reader):
    told = reader.types("main.py").splitlines()
    assert "done: 3 delivered" in told
    assert "house heard: run.done" in told
    fables = (reader.folder / "fables.md").read_text().splitlines()
    assert [line for line in fables if line.startswith("#")] == ["# the heron", "# the mole", "# the magpie"]
    assert reader.was_billed() == 3


def test_07_is_found_sound_by_whoever_looks_at_it_before_the_night(reader):
    """Its own tests, and a night that is killed, are in its folder."""
    reader.types("prepare.py")
    desk = {"DESK_URL": "http://desk.internal", "OPS_HOOK": "http://ops.internal"}
    reader.knows(desk)
    assert reader.types("plugin", "check").count(": sound") >= 5
    reader.types("validate")
    reader.types("plan")
    brought = reader.types("plugin", "why", "triage")
    for part in ("claims of claims", "prompt of prompts", "redact of privacy", "by_tier of tenants", "desk of desk"):
        assert f"{part} (plugins/" in brought
    job = reader.folder / "batchflow.yaml"
    job.write_text(job.read_text().replace("carry: [tenant, tier]", "carry: [tenant]"))
    reader.types("validate", exit=3)
    assert reader.was_billed() == 0


@pytest.mark.parametrize("folder", sorted(EXAMPLES.glob("*/")), ids=lambda folder: folder.name)
def test_every_example_is_listed_and_tested(folder):
    number = folder.name.partition("-")[0]
    assert f"[{folder.name}]({folder.name})" in (EXAMPLES / "README.md").read_text()
    assert any(name.startswith(f"test_{number}_") for name in globals())
