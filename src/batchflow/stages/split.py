"""Split: the rows of a batch that is too large for the provider go into smaller ones, in order."""

from batchflow.machine.batch import UNCERTAIN
from batchflow.machine.packing import target_rows
from batchflow.model.change import Put, Step
from batchflow.model.state import Batch, BatchState
from batchflow.stages.context import decode_rows
from batchflow.stages.kit import Kit
from batchflow.stages.objects import read_footer, read_frames
from batchflow.stages.pack import Pack


async def split(kit: Kit, batch: Batch, most: int) -> list[Step]:
    """Write packs of at most `most` rows, and give the steps that draft them. The books do not change: the rows wait."""
    assert batch.requests is not None
    assert batch.context is not None
    params = read_frames(kit.blobs, batch.requests, await read_footer(kit.blobs, batch.requests))
    context = read_frames(kit.blobs, batch.context, await read_footer(kit.blobs, batch.context))
    lines: list[bytes] = []
    rows: list[bytes] = []
    drafted: list[Step] = []
    left = batch.count
    taken = {other.count for other in await kit.store.find(Batch, {"state": [*UNCERTAIN, BatchState.DRAFTED]})}
    try:
        while left:
            want = min(target_rows(most, kit.draw(), taken), left)
            taken.add(want)
            async with Pack(kit, retry=batch.retry) as pack:
                while pack.rows < want:
                    if not lines:
                        lines = await anext(params)
                    if not rows:
                        rows = await anext(context)
                    n = min(len(lines), len(rows), want - pack.rows)
                    await pack.add(lines[:n], decode_rows(rows[:n]))
                    del lines[:n], rows[:n]
                drafted.append(Put(await pack.seal()))
            left -= want
    finally:
        await params.aclose()
        await context.aclose()
    return [*drafted, kit.event("batch.split", batch.id, f"into {len(drafted)} batches of at most {most} requests")]
