"""Twins: a batch that was thought never to have been created shows up.

This is the one residual risk of paying twice. The late batch is found by its token, never by its count. Where its rows were
not sent again yet, it simply is the batch; where they were given up meanwhile (a run that was canceled, a person's word), its
answers are taken all the same, for they are paid for. Else the twin that has not finished is canceled, both are collected, the
first success of each row wins, and the rest is booked as waste.
"""

from array import array
from collections.abc import Sequence

import msgspec

from batchflow.machine.batch import Deferred, Disowned, TurnedUp, step
from batchflow.machine.claims import SLACK, WATCH
from batchflow.machine.run import OPEN, Surfaced
from batchflow.model.change import Count, Note, Put, Step
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Batch, BatchState, Entry, Intent, IntentState, Remote, Setback
from batchflow.stages.evidence import Evidence
from batchflow.stages.harvest import Harvest
from batchflow.stages.kit import Kit
from batchflow.stages.listing import list_until, result_lines
from batchflow.stages.renew import heir_of, letters_of, renew


async def watched(kit: Kit) -> list[Intent]:
    """List the calls that are thought to have made nothing, and that may still turn out to have made a batch."""
    absent = await kit.every(Intent, {"run": kit.run, "state": IntentState.ABSENT})
    return [intent for intent in absent if intent.watch_until is not None and intent.watch_until > kit.now()]


async def watch(kit: Kit, listed: Sequence[RemoteBatch], evidence: Evidence) -> None:
    """Look out for batches that were thought never to have been created."""
    if calls := await watched(kit):
        await find_twins(kit, calls, listed, evidence)


async def look_out(kit: Kit, evidence: Evidence) -> None:
    """Do the same with a listing of its own: a run that has ended is polled by nobody."""
    if calls := await watched(kit):
        listed = await list_until(kit, min(call.watermark for call in calls) - SLACK)
        await find_twins(kit, calls, listed, evidence)


async def find_twins(kit: Kit, calls: Sequence[Intent], listed: Sequence[RemoteBatch], evidence: Evidence) -> None:
    """Look for watched tokens among ended batches of the right size that nobody knows."""
    counts = {intent.count for intent in calls}
    likely = {remote.id: remote for remote in listed if remote.ended and remote.count in counts}
    known = {fact.id for fact in await kit.store.find(Remote, {"id": list(likely)}, limit=len(likely) + 1)}
    by_token = {intent.token: intent for intent in calls}
    unknown = [remote for id, remote in likely.items() if id not in known]
    await evidence.read(kit, unknown, by_token.keys())
    for remote in unknown:
        if intent := by_token.get(evidence.tokens.get(remote.id, "")):
            now = await kit.store.get(Intent, intent.token)  # another that was met may have moved it
            await meet(kit, now or intent, remote)


async def meet(kit: Kit, intent: Intent, remote: RemoteBatch) -> None:
    """Note the fact. What can still be taken, or joined with its twin, is; what comes after the twin was collected is waste."""
    batch = await _let_go(kit, await kit.batch(intent.batch), remote)
    if letters := await letters_of(kit, batch):
        await _take_late(kit, batch, letters, intent, remote)
        return
    fact = Note(Remote(id=remote.id, run=kit.run, batch=batch.id, token=intent.token, at=kit.now(), how="late"))
    met = Put(msgspec.structs.replace(intent, version=intent.version + 1, state=IntentState.ACCEPTED, watch_until=None))
    late = f"{remote.id} was created after all, {kit.now() - intent.at:.0f} s ago"
    told = kit.event("batch.twin", batch.id, f"{late}; what it costs is booked as waste")
    match batch.state:
        case BatchState.DRAFTED | BatchState.IN_DOUBT | BatchState.HELD:
            told = kit.event("batch.resolved.running", batch.id, f"{late}; nothing was paid twice")
            await kit.commit(fact, met, told, *await _take(kit, batch, intent, remote))
        case BatchState.RUNNING | BatchState.CANCELING:
            await kit.commit(fact, met, told)
            if batch.proven:
                await kit.provider.cancel(batch.remote)
        case BatchState.ENDED:
            # A download that is under way would not know of it: its commit is made stale.
            stepped = step(batch, Deferred(wake_at=kit.now(), why=f"{late}, and is joined with it"))
            await kit.commit(fact, met, told, Put(stepped.batch), Count(kit.run, stepped.books))
        case BatchState.SUBMITTING:
            return  # its call will be answered: then is the time
        case _:
            await kit.commit(fact, met, told, *await _waste(kit, batch, intent, remote))


async def _let_go(kit: Kit, batch: Batch, remote: RemoteBatch) -> Batch:
    """Take a batch out of the hands of a later call of the same rows, which had it by its count alone.

    What that call made, if anything, is not this: it would never be looked for again, nor its cost be booked.
    """
    if batch.remote != remote.id or batch.proven:
        return batch
    why = f"{remote.id} carries the token of an earlier call"
    stepped = step(batch, Disowned(wake_at=kit.now(), why=why))
    note = kit.event("batch.disowned", batch.id, why)
    await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books), note)
    return stepped.batch


async def _take(kit: Kit, batch: Batch, intent: Intent, remote: RemoteBatch) -> list[Step]:
    """Make it the batch. A call made since, whose fate is unknown, is watched: it could turn up like this one."""
    stepped = step(
        batch, TurnedUp(wake_at=kit.now(), token=intent.token, remote=remote.id, expires_at=remote.expires_at)
    )
    others = await kit.store.find(Intent, {"batch": batch.id, "state": IntentState.OPEN})
    watched = [
        Put(
            msgspec.structs.replace(
                other, version=other.version + 1, state=IntentState.ABSENT, watch_until=kit.now() + WATCH
            )
        )
        for other in others
        if other.token != intent.token
    ]
    return [Put(stepped.batch), Count(kit.run, stepped.books), *watched]


async def _take_late(kit: Kit, batch: Batch, letters: Sequence[Setback], intent: Intent, remote: RemoteBatch) -> None:
    """Take the answers of rows that were given up, in a new batch that is at the provider already; wake the run for it."""
    heir = heir_of(kit, batch)
    stepped = step(
        heir, TurnedUp(wake_at=kit.now(), token=intent.token, remote=remote.id, expires_at=remote.expires_at)
    )
    met = msgspec.structs.replace(
        intent, version=intent.version + 1, batch=heir.id, state=IntentState.ACCEPTED, watch_until=None
    )
    ago = f"{remote.id} was created after all, {kit.now() - intent.at:.0f} s ago"
    steps: list[Step] = [
        Note(Remote(id=remote.id, run=kit.run, batch=heir.id, token=intent.token, at=kit.now(), how="late")),
        Put(met),
        *await renew(kit, batch, heir, letters, but={intent.token}),
        Put(msgspec.structs.replace(stepped.batch, submitted_at=intent.at)),
        Count(kit.run, stepped.books),
        kit.event(
            "batch.late", heir.id, f"{ago}: its {batch.count:,} rows had been given up, and what was answered is taken"
        ),
    ]
    if (await kit.current()).state in OPEN:
        await kit.commit(*steps)
    else:
        await kit.step_run(Surfaced(), *steps)


async def _waste(kit: Kit, batch: Batch, intent: Intent, remote: RemoteBatch) -> list[Step]:
    """Add up what a batch cost whose rows were asked again, and paid for again, before it turned up."""
    harvest = Harvest(batch.count, {intent.token}, kit.prices)
    lines = result_lines(kit.provider.results(remote.id))
    try:
        async for chunk, _ in lines:
            harvest.take(kit.provider.skim(chunk), array("I"))
    finally:
        await lines.aclose()
    money = harvest.money
    entry = Entry(
        id=f"{remote.id}/settle",
        run=kit.run,
        batch=batch.id,
        kind="settle",
        paid=money.paid,
        listed=money.listed,
        rows=money.rows,
        input_tokens=money.input_tokens,
        output_tokens=money.output_tokens,
        at=kit.now(),
    )
    lost = msgspec.structs.replace(entry, id=f"{remote.id}/waste", kind="twice", listed=0)
    books = {
        "paid": money.paid,
        "listed": money.listed,
        "waste": money.paid,
        "twice": money.paid,
        "input_tokens": money.input_tokens,
        "output_tokens": money.output_tokens,
    }
    return [Note(entry), Note(lost), Count(kit.run, books)]
