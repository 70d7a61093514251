"""Retell: a source that wants to know what is safe hears of the pack that was committed last again, when reading goes on.

A process may die between the commit and the telling, and whoever reads on stands behind it. Nothing older can be untold: each
pack is told before the next one is read. Of what a sink has confirmed nothing is told again, for that was told long ago, and
a statement that marks rows would undo what the sink wrote since. Records that a builder skipped are not kept, nor told again.
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import groupby

from batchflow.model.errors import ObjectDamaged
from batchflow.model.state import Batch, Delivery, DeliveryState, Event
from batchflow.stages.context import read_context
from batchflow.stages.kit import Kit
from batchflow.stages.reject import LANE


async def last_keys(kit: Kit) -> list[str]:
    """Give the keys of the pack that was committed last: of its requests, and of what never became one."""
    pack = await _last_pack(kit)
    batches = [pack] if pack is not None else []
    batches += await kit.store.find(Batch, {"run": kit.run, "lane": LANE}, after=pack.id if pack is not None else "")
    silent = [batch for batch in batches if not await _is_confirmed(kit, batch)]
    return [key for batch in silent async for key in _keys_of(kit, batch)]


async def _is_confirmed(kit: Kit, batch: Batch) -> bool:
    return bool(await kit.store.find(Delivery, {"batch": batch.id, "state": DeliveryState.DONE}, limit=1))


async def _last_pack(kit: Kit) -> Batch | None:
    """Find the batch that was drafted from the source last. Retries, and the parts of one that was split, are younger."""
    before = ""
    drafted = {"run": kit.run, "kind": "batch.drafted"}
    while events := await kit.store.find(Event, drafted, after=before, limit=100, newest=True):
        for event in events:
            batch = await kit.store.get(Batch, event.subject)
            if batch is not None and not batch.retry:
                return batch
        before = events[-1].id
    return None


async def _keys_of(kit: Kit, batch: Batch) -> AsyncGenerator[str]:
    """Name the records of a batch, each once: several requests of one stand together."""
    if batch.context is None:
        return
    with suppress(ObjectDamaged):  # of which the doctor tells
        async for rows in read_context(kit.blobs, batch.context):
            for key, _ in groupby(row.key for row in rows):
                if key:
                    yield key
