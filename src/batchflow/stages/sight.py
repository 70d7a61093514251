"""Can the listing be believed? Absence from it lets a batch be paid again, so it is put to the test first.

A listing may lag behind, show only what is at work, or be a stub that is always empty. Each of them leaves out batches
that we know of: their creates were answered, and asked for by id they are there. Where we know of none yet, a listing that
shows anything at all is one; of an empty one the provider must be able to say that it is not a stub.
"""

import math
from collections.abc import Sequence

from batchflow.model.state import Batch, BatchState
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit
from batchflow.stages.listing import list_until

KNOWN = [
    BatchState.RUNNING, BatchState.CANCELING, BatchState.ENDED, BatchState.COLLECTED, BatchState.DELIVERED,
]  # fmt: skip
SAMPLE = 20
"""So many of the newest batches are looked for in the listing."""
CALLS = 3
"""So many that it does not show are asked for by id: those that somebody deleted prove nothing against it."""


async def disbelief(kit: Kit, since: float, evidence: Evidence) -> str:
    """Say why being absent from the listing proves nothing; empty when it does."""
    newest = await kit.store.find(Batch, {"run": kit.run, "state": KNOWN}, limit=SAMPLE, newest=True)
    ours = {batch.remote for batch in newest if batch.remote and batch.proven}
    listed = {remote.id for remote in await list_until(kit, since, ours)} if ours else set[str]()
    if hidden := await _left_out(kit, since, sorted(ours - listed)):
        return f"the listing leaves out {hidden}, which exists"
    if listed or evidence.lists or await list_until(kit, math.inf) or await kit.provider.can_list():
        return ""
    return "the listing shows nothing, and answers nonsense with nothing too, as if there were none behind it"


async def _left_out(kit: Kit, since: float, missing: Sequence[str]) -> str:
    """Name a batch of ours, created at or after `since`, that exists and is not listed; empty when there is none."""
    for id in missing[:CALLS]:
        there = await kit.provider.status(id)
        if there is not None and there.created_at >= since:
            return id
    return ""
