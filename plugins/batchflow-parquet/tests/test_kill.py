"""The sink killed with SIGKILL at everything it does, and again while it recovers: the folder holds each row once.

First the sink alone, at every deed; then all of `batchflow run` against the simulator.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lakes import ask, files

from batchflow.sim import Simulator

HERE = Path(__file__).parent
ROWS = 24
JOB = """
version: 1
provider: {{base_url: "{sim}", api_key: "sk-killed"}}
jobs:
  claims:
    source: {{type: parquet, path: "claims/**/*.parquet", key: id, carry: [tenant]}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ id }}}}"}}
    batch: {{max_requests: 8}}
    submit: {{grace: 0.2s}}
    sinks:
      - {{type: parquet, path: lake, partition_by: [tenant]}}
"""


@pytest.mark.parametrize("first", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_killed_at_every_third_deed_and_again_while_it_recovers_it_leaves_each_row_once(tmp_path, first):
    command = [sys.executable, HERE / "killable.py", tmp_path, str(first)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False)
    assert told.returncode == 0, told.stderr
    deeds = json.loads(told.stdout)
    assert deeds[-1] > 50
    expected = [{"key": f"k{n:02}", "t": n % 3, "n": n} for n in range(24) if n % 7]
    for deed in deeds:
        lake = tmp_path / f"lake{deed:03}"
        assert ask(lake, "select key, t, n from lake order by key", hive_partitioning="true") == expected, deed
        assert files(lake)[0] == "_SUCCESS"
        assert len(files(lake)) == 7
        receipts = json.loads(lake.with_suffix(".state").read_text())
        assert [(one["rows"], one["refused"]) for _, one in sorted(receipts.items())] == [(10, 2)] * 2
        left = [one.name for one in (lake / "_batchflow").rglob("*") if one.is_file()]
        assert len(left) == 2
        assert all(name.endswith(".json") for name in left)


@pytest.fixture(scope="module")
def sim():
    with Simulator(seed=1, speed=100.0, duration=1.0) as sim:
        yield sim


class Story:
    """One folder, and the processes that worked in it."""

    def __init__(self, forge, folder, sim):
        self._forge = forge
        self.folder, self.sim = folder, sim
        sim.reset()
        folder.mkdir()
        (folder / "batchflow.yaml").write_text(JOB.format(sim=sim.url))
        self._fill()

    def _fill(self):
        import pyarrow as pa
        import pyarrow.parquet as pq

        for tenant in ("acme", "beta"):
            place = self.folder / "claims" / f"tenant={tenant}"
            place.mkdir(parents=True)
            ids = [f"{tenant}-{n}" for n in range(ROWS // 2)]
            pq.write_table(pa.table({"id": ids}), place / "in.parquet", row_group_size=5)

    def run(self, deed=0):
        """Types `batchflow run` in a process that may be killed at something it does to the lake."""
        with (self.folder / "log").open("a") as log:
            words = (str(self.folder / "lake"), str(deed), "run", "--json")
            env = os.environ | {"DEEDS": str(self.folder / "deeds")}
            how = {"folder": self.folder, "env": env, "stdout": log, "stderr": log}
            with self._forge.begin(*words, program=HERE / "deeds.py", **how) as process:
                ended = process.wait()
        assert ended in {0, -signal.SIGKILL}, (self.folder / "log").read_text()
        return ended

    def outcome(self):
        lake = self.folder / "lake"
        rows = ask(lake, "select key, word, text, tenant from lake order by key", hive_partitioning="true")
        names = {Path(name).parent.name for name in files(lake)}
        return {"rows": rows, "folders": names, "paid": self.sim.stats()["requests_accepted"]}

    def deeds(self):
        return [line.replace(str(self.folder), "") for line in (self.folder / "deeds").read_text().splitlines()]


@pytest.fixture(scope="module")
def story(forge, sim, tmp_path_factory):
    numbers, folder = iter(range(1000)), tmp_path_factory.mktemp("killed")
    return lambda: Story(forge, folder / str(next(numbers)), sim)


@pytest.fixture(scope="module")
def quiet(story):
    one = story()
    assert one.run() == 0
    return one.deeds(), one.outcome()


def test_an_undisturbed_run_leaves_what_is_claimed_of_all_the_others(quiet):
    _, outcome = quiet
    ids = sorted(f"{tenant}-{n}" for tenant in ("acme", "beta") for n in range(ROWS // 2))
    assert [(row["key"], row["word"], row["tenant"]) for row in outcome["rows"]] == [(id, "ok", id[:4]) for id in ids]
    assert outcome["folders"] == {"", "tenant=acme", "tenant=beta"}
    assert outcome["paid"] == ROWS


def killed(story, expected, deed):
    one = story()
    assert one.run(deed) == -signal.SIGKILL
    assert one.run() == 0
    assert one.outcome() == expected, (deed, one.deeds())


def test_killed_with_a_part_half_moved_the_run_leaves_the_same(story, quiet):
    deeds, expected = quiet
    moves = [n for n, deed in enumerate(deeds, 1) if deed.startswith("os.rename") and not deed.endswith(".new")]
    killed(story, expected, moves[1])


@pytest.mark.slow
def test_killed_at_any_kind_of_deed_that_readers_notice_the_run_leaves_the_same(story, quiet):
    deeds, expected = quiet
    kinds = {re.sub(r"[0-9a-f]{8,}|\d+", "#", deed): n for n, deed in enumerate(deeds, 1)}
    noticed = [n for kind, n in kinds.items() if re.search("rename|rmtree|_SUCCESS", kind)]
    assert len(noticed) == 6
    for deed in noticed:
        killed(story, expected, deed)
