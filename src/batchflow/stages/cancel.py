"""Cancel: what becomes of rows that nobody will send again."""

from batchflow.model.change import Count
from batchflow.stages.bury import bury, canceled
from batchflow.stages.kit import Kit
from batchflow.stages.repack import waiting


async def cancel_waiting(kit: Kit) -> bool:
    """Give up the rows of one batch that wait for another try; False when there were none."""
    setbacks = await waiting(kit)
    if not setbacks:
        return False
    batch = await kit.batch(setbacks[0].batch)
    given_up = [canceled(setback) for setback in setbacks if setback.batch == batch.id]
    rows = sum(setback.count for setback in given_up)
    await kit.commit(*await bury(kit, batch, given_up), Count(kit.run, {"waiting": -rows, "canceled": rows}))
    return True
