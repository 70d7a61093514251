"""Split: the rows of a batch that is too large for the provider go into smaller ones, in order."""

from contextlib import aclosing

from batchflow.machine.batch import UNCERTAIN
from batchflow.machine.packing import target_rows
from batchflow.model.change import Put, Step
from batchflow.model.state import Batch, BatchState
from batchflow.stages.kit import Kit
from batchflow.stages.pack import Pack
from batchflow.stages.walk import Walk, walk


async def split(kit: Kit, batch: Batch, most: int) -> list[Step]:
    """Write packs of at most `most` rows, and give the steps that draft them. The books do not change: the rows wait."""
    drafted: list[Step] = []
    left = batch.count
    taken = {other.count for other in await kit.every(Batch, {"state": [*UNCERTAIN, BatchState.DRAFTED]})}
    async with aclosing(await walk(kit, batch)) as steps:
        while left:
            rows = min(target_rows(most, kit.draw(), taken), left)
            drafted.append(Put(await _pack(kit, batch, steps, rows)))
            taken.add(rows)
            left -= rows
    return [*drafted, kit.event("batch.split", batch.id, f"into {len(drafted)} batches of at most {most} requests")]


async def _pack(kit: Kit, batch: Batch, steps: Walk, rows: int) -> Batch:
    async with Pack(kit, retry=batch.retry) as pack:
        while pack.rows < rows:
            await pack.add(*await steps.take(rows - pack.rows))
        return await pack.seal()
