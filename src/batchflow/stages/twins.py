"""Twins: a batch that was thought never to have been created shows up after its rows were sent again.

This is the one residual risk of paying twice. The late batch is found by its token, never by its count; the twin that has
not finished is canceled, both are collected, the first success of each row wins, and the rest is booked as waste.
"""

from collections.abc import Sequence

import msgspec

from batchflow.model.change import Note, Put
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import BatchState, Intent, IntentState, Remote
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit


async def find_twins(kit: Kit, watched: Sequence[Intent], listed: Sequence[RemoteBatch]) -> None:
    """Look for watched tokens among ended batches of the right size that nobody knows."""
    counts = {intent.count for intent in watched}
    likely = [remote for remote in listed if remote.ended and remote.count in counts]
    known = {fact.id for fact in await kit.store.find(Remote, {"id": [remote.id for remote in likely]})}
    evidence = Evidence()
    await evidence.read(kit, [remote for remote in likely if remote.id not in known])
    by_token = {intent.token: intent for intent in watched}
    for id, token in evidence.tokens.items():
        if token in by_token:
            await _meet(kit, by_token[token], id)


async def _meet(kit: Kit, intent: Intent, remote: str) -> None:
    """Note the fact, and stop its twin if that still helps."""
    fact = Remote(id=remote, run=kit.run, batch=intent.batch, token=intent.token, at=kit.now(), how="late")
    met = msgspec.structs.replace(intent, version=intent.version + 1, state=IntentState.ACCEPTED, watch_until=None)
    text = f"{remote} was created after all, {kit.now() - intent.at:.0f} s ago; what it cost is booked as waste"
    await kit.record(Note(fact), Put(met), kit.event("batch.twin", intent.batch, text))
    batch = await kit.batch(intent.batch)
    if batch.state is BatchState.RUNNING and batch.proven:
        await kit.provider.cancel(batch.remote)
