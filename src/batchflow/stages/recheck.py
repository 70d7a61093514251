"""Recheck: rows whose call was thought to have made nothing are not sent again before the listing was read once more.

That nothing was made was proven, or said by an operator, at some time. Minutes or days may lie between that and the call: a
process died, a run was paused, a listing that lagged has caught up. So whatever was found or said is held once more against a
listing that is read now. What it shows and nobody has ruled out puts the batch back in doubt, where nothing is lost by waiting.
"""

from collections.abc import Sequence

import msgspec

from batchflow.machine.batch import Questioned, step
from batchflow.machine.claims import SLACK, candidates_of
from batchflow.model.change import Count, Put
from batchflow.model.errors import NoListing
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Batch, Intent, IntentState, Remote
from batchflow.stages.account import same_account
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit
from batchflow.stages.listing import list_until
from batchflow.stages.twins import find_twins


async def may_be_sent(kit: Kit, batch: Batch, evidence: Evidence) -> bool:
    """Tell whether a drafted batch may be sent; one that turned up, or may have, goes another way."""
    calls = await kit.store.find(Intent, {"batch": batch.id, "state": IntentState.ABSENT})
    if not calls:
        return True
    try:
        listed = await list_until(kit, min(call.watermark for call in calls) - SLACK)
    except NoListing:
        return True  # nothing can be seen here, and that was known when it was said
    await find_twins(kit, calls, listed, evidence)
    now = await kit.batch(batch.id)
    if now.version != batch.version:
        return False
    for call in calls:
        if why := await _question(kit, call, listed, evidence):
            await _doubt_again(kit, now, call, why)
            return False
    return True


async def _question(kit: Kit, call: Intent, listed: Sequence[RemoteBatch], evidence: Evidence) -> str:
    """Say what speaks against a call having made nothing; empty when nothing does."""
    if not same_account(call.binding, kit.provider.binding()):
        return "it was about to be sent again, and this key cannot see what an earlier call of it may have made"
    found = [one for one in candidates_of(call, listed, evidence.tokens) if one.id not in call.overruled]
    known = {fact.id for fact in await kit.store.find(Remote, {"id": [one.id for one in found]}, limit=len(found) + 1)}
    names = ", ".join(one.id for one in found if one.id not in known)
    return (
        f"it was about to be sent again, and the listing shows now what an earlier call may have made: {names}"
        if names
        else ""
    )


async def _doubt_again(kit: Kit, batch: Batch, call: Intent, why: str) -> None:
    stepped = step(batch, Questioned(wake_at=kit.now(), token=call.token, why=why))
    opened = msgspec.structs.replace(
        call, version=call.version + 1, state=IntentState.OPEN, healthy=0, watch_until=None
    )
    await kit.commit(
        Put(stepped.batch), Put(opened), Count(kit.run, stepped.books), kit.event("batch.in_doubt", batch.id, why)
    )
