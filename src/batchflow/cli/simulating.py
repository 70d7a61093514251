"""Serving the simulator from the command line."""

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from batchflow.cli.exits import Exit
from batchflow.cli.output import data, remark
from batchflow.extend.quantities import seconds
from batchflow.model.errors import UserError
from batchflow.sim import FaultPlan, serve


def simulate(
    *, host: str, port: int, seed: int, speed: float, duration: str, file: Path | None, flags: Sequence[str]
) -> Exit:
    """Serve until a signal comes."""
    plan = _plan(file, flags)
    lasts = _duration(duration)
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        serve(host, port, on_ready=_announce, stop=stop, seed=seed, speed=speed, duration=lasts, faults=plan)
    except OSError as error:
        raise UserError(
            f"the simulator cannot listen on {host}:{port}: {error.strerror or error}",
            hint="`--port 0` takes any port that is free",
        ) from error
    return Exit.DELIVERED


def _announce(url: str) -> None:
    data(f"export ANTHROPIC_BASE_URL={url}")
    data("export ANTHROPIC_API_KEY=simulated")
    remark(f"simulating the Message Batches API at {url}; type the two lines above elsewhere. Ctrl-C ends it")


def _plan(file: Path | None, flags: Sequence[str]) -> FaultPlan:
    try:
        plan = FaultPlan.load(file) if file else FaultPlan()
        return plan.plus(FaultPlan.parse(flags))
    except OSError as error:
        raise UserError(f"the fault plan {file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"the fault plan is not understood: {error}") from error


def _duration(written: str) -> float:
    try:
        return seconds(written)
    except ValueError as error:
        raise UserError(f"`--duration {written}` is not understood: {error}") from error
