"""Calls that are thought to have made nothing and are looked out for all the same, in a sentence each."""

from collections.abc import Mapping

import msgspec

from batchflow.model.state import Batch, Intent, IntentState, Run
from batchflow.ports.state import StateStore
from batchflow.reports.paging import every
from batchflow.reports.runs import SHORT, instant


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A batch a call of which was lost and may still turn out to have made something."""

    run: str
    batch: str
    requests: int
    until: str
    """The last moment at which the latest such call is looked out for."""
    sentence: str


async def watched(store: StateStore, run: Run | None = None, *, now: float) -> list[Watched]:
    """List what is looked out for: of one run, or of all."""
    where: Mapping[str, str] = {"run": run.id} if run is not None else {}
    until: dict[str, float] = {}
    calls: dict[str, Intent] = {}
    async for call in every(store, Intent, {**where, "state": IntentState.ABSENT}):
        if call.watch_until is not None and call.watch_until > max(now, until.get(call.batch, now)):
            until[call.batch], calls[call.batch] = call.watch_until, call
    return [_watched(call, await store.get(Batch, batch), until[batch]) for batch, call in sorted(calls.items())]


async def is_watched(store: StateStore, run: Run, *, now: float) -> bool:
    """Tell whether a call of a run is thought to have made nothing, and may still turn out to have made a batch."""
    return bool(await watched(store, run, now=now))


def _watched(call: Intent, batch: Batch | None, until: float) -> Watched:
    count, run = (batch or call).count, call.run[:SHORT]
    return Watched(
        run=call.run,
        batch=call.batch,
        requests=count,
        until=instant(until),
        sentence=(
            f"a call of run {run} for batch {call.batch[:SHORT]} ({count:,} requests) was lost, and most likely made nothing; "
            f"whether it did is watched until {instant(until)}, and `batchflow reconcile {run}` looks for it now."
        ),
    )
