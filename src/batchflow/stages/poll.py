"""Poll: one listing for all batches in flight; a single look-up only for those it does not show."""

from collections.abc import Sequence

from batchflow.machine.batch import CancelSent, Deferred, Finished, GivenUp, Seen, step
from batchflow.machine.cadence import next_poll
from batchflow.machine.claims import LONGEST, PATIENCE, SLACK
from batchflow.model.change import Count, Put
from batchflow.model.errors import NoListing
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Batch, BatchState
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit
from batchflow.stages.listing import list_until
from batchflow.stages.lookout import Lookout
from batchflow.stages.twins import watch

ARCHIVED = "its results are gone: the provider keeps them for 29 days"
TOGETHER = 5.0
"""Batches whose turn is at most this far off share the listing at hand."""


async def poll(kit: Kit, lookout: Lookout, evidence: Evidence, *, soon: float = TOGETHER) -> None:
    """Look at every batch in flight whose turn has come, or comes within `soon` seconds."""
    flying = await _flying(kit, soon)
    if not flying:
        return
    listed = {remote.id: remote for remote in await _listed(kit, flying)}
    evidence.lists |= bool(listed)
    for remote in listed.values():
        lookout.seen(remote.created_at)
    for batch in flying:
        remote = listed.get(batch.remote)
        if remote is None or (not remote.ended and lookout.direct(batch.id)):
            remote = await kit.provider.status(batch.remote) or remote
        await _look(kit, batch, remote)
    await watch(kit, list(listed.values()), evidence)


async def _flying(kit: Kit, within: float) -> Sequence[Batch]:
    soon = kit.now() + within
    states = [BatchState.RUNNING, BatchState.CANCELING]
    batches = await kit.store.find(Batch, {"run": kit.run, "state": states})
    return [batch for batch in batches if batch.wake_at is None or batch.wake_at <= soon]


async def _listed(kit: Kit, flying: Sequence[Batch]) -> Sequence[RemoteBatch]:
    """List as far down as these batches; nothing where there is no listing, for each can be asked for by its id."""
    since = min(batch.submitted_at or 0.0 for batch in flying) - SLACK
    try:
        return await list_until(kit, since, {batch.remote for batch in flying})
    except NoListing:
        return ()


async def _look(kit: Kit, batch: Batch, remote: RemoteBatch | None) -> None:
    """Hand what the provider says about one batch to the machine."""
    now = kit.now()
    age = now - (batch.submitted_at or now)
    wake_at = now + kit.poll_delay(age=age, default=next_poll(age, None))
    note = None
    if remote is None:
        event = _unseen(batch, now, wake_at)
    elif remote.archived:
        event = GivenUp(why=ARCHIVED)
    elif remote.ended:
        event = Finished(wake_at=now, ended_at=remote.ended_at)
        note = kit.event("batch.ended", batch.id, f"after {age:.0f} s")
    elif await _cancel(kit, batch):
        event = CancelSent(wake_at=now + 1.0)
        note = kit.event("batch.canceling", batch.id, "rows under way may still finish; they are collected and paid")
    else:
        event = Seen(wake_at=wake_at, expires_at=remote.expires_at or batch.expires_at, why=_overdue(batch, now))
        if event.why and not batch.why:
            note = kit.event("batch.overdue", batch.id, event.why)
    stepped = step(batch, event)
    await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books), *([note] if note else []))


def _unseen(batch: Batch, now: float, wake_at: float) -> Deferred | GivenUp:
    """Bear with a provider that does not know a batch it made: for a moment that is normal."""
    if now - _due(batch, now) > PATIENCE:
        return GivenUp(why=f"{batch.remote} is not known to the provider any more; what it cost is not known either")
    return Deferred(wake_at=wake_at, why=f"{batch.remote} is not in the listing and cannot be looked up yet")


def _overdue(batch: Batch, now: float) -> str:
    """Say of a batch that it should have ended by now: it is waited for all the same, since its rows may be paid for."""
    late = now - _due(batch, now)
    if late <= PATIENCE:
        return ""
    return (
        f"{batch.remote} should have ended {late / 3600:.0f} hours ago, and the provider still works on it. It is waited for "
        "and not sent again; `batchflow cancel` asks the provider to end it, and its support can be asked by that id"
    )


def _due(batch: Batch, now: float) -> float:
    """Say when a batch should have ended at the latest."""
    return batch.expires_at or (batch.submitted_at or now) + LONGEST


async def _cancel(kit: Kit, batch: Batch) -> bool:
    """Ask for cancellation if an operator wants it and the batch is surely ours."""
    if batch.state is not BatchState.RUNNING or not batch.proven:
        return False
    if not batch.cancel and not (await kit.current()).cancel:
        return False
    return await kit.provider.cancel(batch.remote) is not None
