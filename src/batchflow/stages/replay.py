"""Replay: everything that a run brought to one sink is brought to it again, because what it wrote is lost or spoiled.

The answers are stored and paid for, so nothing is asked and nothing is spent. What the sink confirmed is forgotten in one
commit: it begins as in a new run, and its own rule about what it finds there (`if_exists`) holds as in a new run.
"""

import msgspec

from batchflow.machine.run import OPEN, Replayed
from batchflow.model import errors
from batchflow.model.change import Put, Step
from batchflow.model.state import Delivery, DeliveryState, Outlet
from batchflow.stages.kit import Kit

ANEW = (DeliveryState.DONE, DeliveryState.PARKED)
"""Parts that are brought again; what is due is under way already, and refused rows are brought again by `redeliver`."""


async def replay(kit: Kit, sink: str) -> int:
    """Make every part of this sink due again; say how many there are. No driver may have the sink open."""
    parts = await kit.every(Delivery, {"run": kit.run, "sink": sink})
    if not parts:
        raise await _nothing(kit, sink)
    again = [part for part in parts if part.state in ANEW]
    steps: list[Step] = [
        Put(
            msgspec.structs.replace(
                part,
                version=part.version + 1,
                state=DeliveryState.DUE,
                receipt=None,
                attempts=0,
                wake_at=kit.now(),
                why="",
            )
        )
        for part in again
    ]
    last = await kit.store.get(Outlet, f"{kit.run}/{sink}")
    if last is not None:
        steps.append(Put(msgspec.structs.replace(last, version=last.version + 1, receipt=None)))
    steps.append(kit.event("run.replayed", kit.run, f"{len(again)} parts are brought to {sink} again"))
    run = await kit.current()
    if run.state in OPEN:
        await kit.commit(*steps)
    else:
        await kit.step_run(Replayed(), *steps)
    return len(again)


async def _nothing(kit: Kit, sink: str) -> errors.RunRefused:
    names = sorted({part.sink for part in await kit.every(Delivery, {"run": kit.run})})
    known = f"its parts are for {', '.join(f'`{name}`' for name in names)}" if names else "it has no parts yet"
    return errors.RunRefused(
        f"run {kit.run[:16]} has brought nothing to a sink called `{sink}`: {known}",
        hint=f"`batchflow results {kit.run[:16]}` prints what a run has brought home, whatever its sinks were",
    )
