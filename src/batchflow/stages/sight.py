"""Can the listing be believed? Absence from it lets a batch be paid again, so it is put to the test first.

A listing may lag behind, show only what is at work, or be a stub that is always empty. Each of them leaves out batches
that we know of: their creates were answered, and asked for by id they are there.
"""

from batchflow.model.state import Batch, BatchState
from batchflow.stages.kit import Kit
from batchflow.stages.listing import list_until

KNOWN = [
    BatchState.RUNNING, BatchState.CANCELING, BatchState.ENDED, BatchState.COLLECTED, BatchState.DELIVERED,
]  # fmt: skip
SAMPLE = 20
"""So many of the newest batches are looked for in the listing."""
CALLS = 3
"""So many that it does not show are asked for by id: those that somebody deleted prove nothing against it."""


async def left_out(kit: Kit, since: float) -> str:
    """Name a batch of this run, created at or after `since`, that exists and is not listed; empty when there is none."""
    newest = await kit.store.find(Batch, {"run": kit.run, "state": KNOWN}, limit=SAMPLE, newest=True)
    ours = {batch.remote for batch in newest if batch.remote and batch.proven}
    if not ours:
        return ""
    missing = sorted(ours - {remote.id for remote in await list_until(kit, since, ours)})
    for id in missing[:CALLS]:
        there = await kit.provider.status(id)
        if there is not None and there.created_at >= since:
            return id
    return ""
