"""Which payloads could go: those of runs that ended long ago. And which have gone."""

from collections.abc import AsyncGenerator

import msgspec

from batchflow.model.errors import RunRefused
from batchflow.model.state import Batch, Event, Run, RunState
from batchflow.ports.state import StateStore
from batchflow.reports.paging import every
from batchflow.reports.runs import SHORT, instant
from batchflow.reports.watched import is_watched

CLEARED = "run.cleared"
"""The event that says that a run's payloads were removed."""


class Clearable(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose payloads could be removed, and how much room they take."""

    run: str
    job: str
    ended: str
    bytes: int


OVER = (RunState.DONE, RunState.CANCELED)


async def clearable(store: StateStore, *, before: float, now: float) -> AsyncGenerator[Clearable]:
    """List runs that ended before a moment and still have their payloads."""
    async for run in every(store, Run, {"state": OVER}):
        if run.ended_at is None or not await may_be_cleared(store, run, before=before, now=now):
            continue
        size = 0
        async for batch in every(store, Batch, {"run": run.id}):
            kept = (batch.requests, batch.context, *batch.results)
            size += sum(blob.size for blob in kept if blob is not None)
        yield Clearable(run=run.id, job=run.job, ended=instant(run.ended_at), bytes=size)


async def may_be_cleared(store: StateStore, run: Run, *, before: float, now: float) -> bool:
    """Tell whether nobody needs a run's payloads any more. A batch that turns up late is told by them whose rows it answers."""
    is_old = run.state in OVER and run.ended_at is not None and run.ended_at < before
    return is_old and await cleared(store, run) is None and not await is_watched(store, run, now=now)


async def cleared(store: StateStore, run: Run) -> Event | None:
    """Find the event that tells of a run's clearing."""
    events = await store.find(Event, {"run": run.id, "kind": CLEARED}, limit=1)
    return events[0] if events else None


async def refuse_cleared(store: StateStore, run: Run) -> None:
    """Refuse to look for payloads that are gone."""
    event = await cleared(store, run)
    if event is not None:
        raise RunRefused(
            f"the payloads of run {run.id[:SHORT]} were removed by `batchflow gc` at {instant(event.at)}",
            hint=f"its books, its money and its dead letters by reason are still there: `batchflow report {run.id[:SHORT]}`",
        )
