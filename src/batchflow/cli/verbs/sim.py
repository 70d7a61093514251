"""`batchflow sim`: a simulated Message Batches API on this machine, until Ctrl-C."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def sim(
    *,
    port: Annotated[int, Parameter(help="Port to listen on; 0 takes any that is free.")] = 8765,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[int, Parameter(help="What the made-up answers and chances come from.")] = 0,
    speed: Annotated[float, Parameter(help="Seconds that pass there in one of ours: at 3600 a day takes 24 s.")] = 60.0,
    duration: Annotated[str, Parameter(help="How long a batch takes there (`30m`), give or take a fifth.")] = "10m",
    faults: Annotated[Path | None, Parameter(help="YAML file of what is to go wrong.")] = None,
    fault: Annotated[
        list[str] | None,
        Parameter(help="One thing to go wrong, like `create:1:reset_after` or `row:5%:refusal`; may be repeated."),
    ] = None,
) -> int:
    """Serve a simulated Message Batches API on this machine, until Ctrl-C.

    Any key is good. Prints its address and what to export, so that a job runs against it. `GET /_sim/stats` tells what
    it has seen: creates, requests accepted, rows billed. One batch is always there to try calls on, ended, with a row of every
    shape: `message_batch_id`, as the SDKs' own reference pages and tests call it.
    """
    from batchflow.cli.simulating import simulate

    return simulate(
        host=host, port=port, seed=seed, speed=speed, duration=duration, file=faults, flags=tuple(fault or ())
    )
