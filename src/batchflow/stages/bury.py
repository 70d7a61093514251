"""Bury: rows that die later than their batch was collected, because nobody will ask them again.

Their setback becomes a dead letter where it is, so that they can still be revived, and new parts bring them to the sinks.
"""

from collections.abc import Collection, Sequence

import msgspec

from batchflow.machine.bitmap import bitmap
from batchflow.model.change import Put, Step
from batchflow.model.state import Batch, Decision, Setback
from batchflow.model.words import Word
from batchflow.stages.kit import Kit
from batchflow.stages.route import deliveries


async def bury(kit: Kit, batch: Batch, dead: Sequence[Setback]) -> list[Step]:
    """Give the steps that make these setbacks of one batch dead letters, and bring them to the sinks."""
    generation = 1 + max(setback.generation for setback in await kit.every(Setback, {"batch": batch.id}))
    rows = sum(setback.count for setback in dead)
    buried = [
        msgspec.structs.replace(setback, decision=Decision.DEAD, wake_at=None, generation=generation)
        for setback in dead
    ]
    return [*map(Put, buried), *deliveries(kit, batch, good=0, dead=rows, generation=generation)]


def without(setback: Setback, rows: Collection[int], batch: Batch, packed_in: str) -> Setback:
    """Take what was packed out of the waiting rows: the setback keeps what is left, here those rows."""
    return msgspec.structs.replace(
        setback,
        version=setback.version + 1,
        count=len(rows),
        rows=bitmap(rows, batch.count),
        packed_in=packed_in,
        wake_at=None,
    )


def lost(setback: Setback, rows: Collection[int], batch: Batch, number: int, sample: str) -> Setback:
    """Make a setback of its own for rows that cannot be asked again."""
    return msgspec.structs.replace(
        setback,
        id=f"{setback.id}/lost-{number}",
        version=1,
        count=len(rows),
        rows=bitmap(rows, batch.count),
        sample=sample,
    )


def canceled(setback: Setback) -> Setback:
    """Give waiting rows the word of those that nobody wants any more."""
    return msgspec.structs.replace(
        setback, version=setback.version + 1, word=Word.CANCELED, sample="canceled while it waited to be asked again"
    )
