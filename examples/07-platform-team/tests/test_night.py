"""A whole night, killed in the middle: every claim has one verdict at the desk, and none was paid for twice."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from batchflow.sim import Simulator

TOP = Path(__file__).parent.parent
BATCHFLOW = Path(sys.executable).with_name("batchflow")


@pytest.fixture
def night(tmp_path, desk):
    """A copy of the folder as it is deployed, before a night, with batches that are small enough to be killed between."""
    folder = shutil.copytree(
        TOP, tmp_path / "night", ignore=shutil.ignore_patterns("secrets", "prompts", "claims.db", "out", ".*")
    )
    subprocess.run([sys.executable, "prepare.py"], cwd=folder, check=True)
    job = folder / "batchflow.yaml"
    job.write_text(job.read_text().replace("max_requests: 1000", "max_requests: 20"))
    with Simulator(seed=1, speed=3600, duration=600) as simulator:
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "BATCHFLOW_"))},
            "ANTHROPIC_BASE_URL": simulator.url, "ANTHROPIC_API_KEY": "any",
            "DESK_URL": desk.url, "OPS_HOOK": f"{desk.url}/hook",
        }  # fmt: skip
        yield (
            simulator,
            lambda: subprocess.Popen(
                [BATCHFLOW, "run"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ),
        )


def test_a_night_that_is_killed_is_gone_on_with_and_every_verdict_is_there_once(night, desk):
    simulator, run = night
    kept, dead = Event(), Event()
    desk.answered = lambda: (kept.set(), dead.wait(60))
    with run() as first:
        assert kept.wait(60)  # the desk has some rows, and batchflow will never hear of it
        first.kill()
        first.communicate()
    dead.set()
    before = dict(desk.written)
    assert 0 < len(before) < 60
    with run() as second:
        _, said = second.communicate()
    assert second.returncode == 0, said
    assert sorted(desk.verdicts) == [f"C-{number:04}" for number in range(1, 61)]
    assert all(row["outcome"] == "ok" and row["verdict"] for row in desk.verdicts.values())
    assert {row["tenant"] for row in desk.verdicts.values()} == {"north", "south", "try"}
    assert {claim for claim, times in desk.written.items() if times > 1} == set(before)
    assert simulator.stats()["requests_accepted"] == 60
    assert [json.loads(json.dumps(one))["type"] for one in desk.heard] == ["run.finished"]
