"""Download: bring the results of a batch into our own store, from every remote batch that it became."""

from array import array
from collections.abc import Sequence

from batchflow.model.blob import Blob
from batchflow.model.state import Batch, Remote
from batchflow.stages.harvest import Harvest
from batchflow.stages.kit import Kit
from batchflow.stages.listing import result_lines
from batchflow.stages.objects import LinesWriter

MEMORY = 4 << 20


async def remotes_of(kit: Kit, batch: Batch) -> list[str]:
    """Name every remote batch that this one became: one, except for twins."""
    facts = await kit.store.find(Remote, {"batch": batch.id})
    return [batch.remote, *(fact.id for fact in facts if fact.id != batch.remote)]


async def download(kit: Kit, batch: Batch, remotes: Sequence[str], harvest: Harvest) -> list[Blob]:
    """Store the results, one object for each remote batch."""
    parts: list[Blob] = []
    orders: list[array[int]] = []
    for remote in remotes:
        name = f"{batch.run}/{batch.id}/results-{kit.fresh()}"
        async with kit.blobs.create(name) as blob:
            writer = LinesWriter(blob)
            order = array("I")
            await _fetch(kit, remote, harvest, writer, order, orders)
            orders.append(order)
            parts.append(await writer.finish(order))
        if harvest.theirs and not batch.proven:
            break
    return parts


async def _fetch(
    kit: Kit,
    remote: str,
    harvest: Harvest,
    writer: LinesWriter,
    order: "array[int]",
    earlier: "Sequence[array[int]]",
) -> None:
    lines = result_lines(kit.provider.results(remote))
    try:
        async for chunk, size in lines:
            harvest.take(kit.provider.skim(chunk), order, earlier)
            await writer.write(chunk, lines=len(chunk), size=size)
    finally:
        await lines.aclose()
