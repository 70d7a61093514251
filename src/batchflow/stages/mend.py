"""Mend: stored results that are damaged are fetched again, as long as the provider has them. Nothing is booked twice.

Requests and contexts were made here and are nowhere else: of those only a copy of the state folder helps, and is asked for.
"""

import msgspec

from batchflow.machine.batch import Refetched, step
from batchflow.machine.bitmap import rows_of
from batchflow.model import errors
from batchflow.model.blob import Blob
from batchflow.model.change import Put
from batchflow.model.money import dollars
from batchflow.model.state import Batch, Entry, Intent, Setback
from batchflow.model.words import Word
from batchflow.stages.account import sees
from batchflow.stages.download import MEMORY, download, remotes_of
from batchflow.stages.harvest import Harvest
from batchflow.stages.kit import Kit

COPY = "Put the object back from a copy of the state folder"
ACCOUNT = frozenset({Word.UNAUTHORIZED, Word.NO_CREDIT})


class Unmended(msgspec.Struct, frozen=True):
    """What stands in the way, and whether trying later may help."""

    why: str
    later: bool


async def mend(kit: Kit, id: str, damage: errors.ObjectDamaged) -> Unmended | None:
    """Put sound results in the place of damaged ones; None when they are there."""
    batch = await kit.batch(id)
    if why := await no_context(kit, batch):
        return Unmended(f"{why} {await _known(kit, batch)}", later=False)
    if not [part for part in batch.results if await _damage(kit, part)]:
        return Unmended(damage.message, later=True)
    if not batch.remote:
        return Unmended(f"{damage.message} {COPY}.", later=False)
    try:
        return await _refetch(kit, batch)
    except errors.Refused as error:
        if error.word in ACCOUNT:
            raise
        if error.word is not Word.ARCHIVED:
            return Unmended(f"{damage.message} Fetching the answers again was refused: {error.message}", later=True)
        gone = f"{damage.message} They cannot be fetched again: the provider keeps them for 29 days. {COPY}."
        return Unmended(f"{gone} {await _known(kit, batch)}", later=False)
    except errors.ProviderError as error:
        return Unmended(f"{damage.message} Fetching the answers again failed: {error.message}", later=True)


async def refetch(kit: Kit, id: str) -> Unmended | None:
    """Mend a batch that nobody delivers at the moment, be its run over or not; None when its results are sound."""
    batch = await kit.batch(id)
    damage = [error for part in batch.results if (error := await _damage(kit, part)) is not None]
    if not damage:
        return None
    intent = await kit.store.get(Intent, batch.token)
    if intent is not None and not await sees(kit, intent):
        why = (
            f"{damage[0].message} Its answers are at {intent.binding.base_url} under another key (fingerprint "
            f"{intent.binding.key}): fetch them with that one, or another of the same workspace."
        )
        return Unmended(why, later=True)
    return await mend(kit, id, damage[0])


async def no_context(kit: Kit, batch: Batch) -> str:
    """Say what it means when a batch's context is damaged; empty when it is not."""
    assert batch.context is not None
    if damage := await _damage(kit, batch.context):
        return f"{damage.message} Without it nobody can tell which record an answer belongs to, and it is nowhere else. {COPY}."
    return ""


async def _damage(kit: Kit, blob: Blob) -> errors.ObjectDamaged | None:
    """Read an object to its end, where its checksum is held against it; give what is wrong."""
    try:
        async for _ in kit.blobs.read(blob):
            pass
    except errors.ObjectDamaged as error:
        return error
    return None


async def _refetch(kit: Kit, batch: Batch) -> Unmended | None:
    intents = await kit.store.find(Intent, {"batch": batch.id})
    harvest = Harvest(batch.count, {batch.token} | {intent.token for intent in intents}, kit.prices)
    async with kit.hold(MEMORY):
        parts = await download(kit, batch, await remotes_of(kit, batch), harvest)
    if not await _is_what_was_booked(kit, batch, harvest):
        return Unmended("what the provider sent now is not what was booked for this batch", later=True)
    now = await kit.batch(batch.id)
    if now.results != batch.results:
        return None  # another sink met the same damage, and was quicker
    stepped = step(now, Refetched(results=tuple(parts)))
    note = kit.event(
        "batch.refetched", batch.id, "its stored results were damaged; they were fetched again, at no cost"
    )
    await kit.commit(Put(stepped.batch), note)
    return None


async def _is_what_was_booked(kit: Kit, batch: Batch, harvest: Harvest) -> bool:
    """Hold the answers against the fates that were decided on them: every row without a setback is good."""
    settled: set[int] = set()
    for setback in await kit.every(Setback, {"batch": batch.id}):
        settled.update(rows_of(setback.rows))
    return not harvest.malformed and settled.issuperset(harvest.rows_not_ok())


async def _known(kit: Kit, batch: Batch) -> str:
    """Say what is known about the money."""
    entries = await kit.store.find(Entry, {"batch": batch.id, "kind": "settle"})
    paid = sum(entry.paid for entry in entries)
    count = f"{batch.count:,} answers are concerned, for which {dollars(paid)} was paid"
    return f"{count}; asking them anew (`run --new`) is paid again"
