"""The demo itself: a simulator on a thread, a clock in a hurry, and the very path that `run` takes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec

from batchflow.app import Report
from batchflow.cli.demo.claims import STAGED, claims
from batchflow.cli.demo.folder import JOB_FILE, lay_out
from batchflow.cli.exits import Exit
from batchflow.cli.opening import Opened, Workshop, read_jobs
from batchflow.cli.output import BOLD, remark, styled
from batchflow.cli.running import drive_all
from batchflow.engine.clock import SystemClock
from batchflow.extend.facade import Plugins
from batchflow.sim import FaultPlan, RowRule, Simulator

SPEED = 60.0
"""Seconds of the demo's clock in one of ours: a batch of two minutes takes two seconds."""
BATCH_TAKES = 110.0
OVERLOADED, EXPIRED, TRUNCATED, BAD_JSON = 17, 58, 123, 164
_CLAIM = re.compile(r"CLM-\d{4}")


class Hurried(SystemClock):
    """The simulator's time for the run as well. Sockets and leases stay on real time: they are real."""

    def __init__(self, now: Callable[[], float], speed: float) -> None:
        self._now = now
        self._speed = speed

    def now(self) -> float:
        return self._now()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds / self._speed)


async def show(folder: Path) -> Exit:
    """Run the demo into a folder."""
    lay_out(folder)
    remark(
        "The Message Batches API is simulated on this machine: no key, no network, no cost.\nA minute passes in a second.\n"
    )
    async with _simulator() as sim:
        plugins = Plugins(entry_points=False)
        file = read_jobs(folder / JOB_FILE, (), plugins, env={"BATCHFLOW_DEMO_URL": sim.url})
        clock = Hurried(sim.clock.now, SPEED)
        workshop = Workshop(file, plugins=plugins, state=folder / ".batchflow", clock=clock)
        code = await drive_all(workshop, _run, new=False, json=False, hints=False)
    if code not in {Exit.DELIVERED, Exit.DEAD_LETTERS}:
        return code
    _say_where(folder)
    return Exit.DELIVERED


async def _run(opened: Opened) -> Report:
    return await opened.flow.run(opened.job)


def _simulator() -> Simulator:
    return Simulator(
        speed=SPEED,
        duration=BATCH_TAKES,
        faults=FaultPlan(
            rows=[
                RowRule(word="overloaded", match=_id(OVERLOADED)),
                RowRule(word="expired", match=_id(EXPIRED)),
                RowRule(word="max_tokens", match=_id(TRUNCATED)),
                RowRule(word="bad_json", match=_id(BAD_JSON)),
                RowRule(word="refusal", match=_id(STAGED), times=None),
            ]
        ),
        answer=_answerer(),
    )


def _answerer() -> Callable[[dict[str, Any]], str]:
    """Answer each claim as a model should."""
    answers = {claim.id: msgspec.json.encode(claim.answer).decode() for claim in claims()}

    def answer(params: dict[str, Any]) -> str:
        found = _CLAIM.search(str(params["messages"]))
        return answers[found[0]] if found else "{}"

    return answer


def _say_where(folder: Path) -> None:
    remark(
        f"""
No money was spent: the costs above are what the API would have asked. The results lie in
  {folder / "claims.db"}   table `triage`
  {folder / "out" / "triage.jsonl"}
  {folder / "out" / "dead.jsonl"}   one claim that the model refused

{styled("next:", BOLD)}
  cd {folder}
  batchflow show {_id(EXPIRED)}      follow the claim that expired and was asked again
  batchflow results triage      all results once more, as JSON lines
  cat batchflow.yaml            the job; `batchflow init my-job` begins one of your own"""
    )


def _id(number: int) -> str:
    return f"CLM-{number:04d}"
