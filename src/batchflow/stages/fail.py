"""Rows of a batch that never ran: all of them take one word and go to the sinks that want dead letters."""

from batchflow.machine.bitmap import bitmap
from batchflow.model.change import Put, Step
from batchflow.model.state import Batch, Decision, Setback
from batchflow.model.words import Word
from batchflow.stages.kit import Kit
from batchflow.stages.route import deliveries


def rejected_rows(kit: Kit, batch: Batch, word: Word, why: str) -> list[Step]:
    """Make every row of a batch a dead letter."""
    setback = Setback(
        id=f"{batch.id}/{word}",
        run=kit.run,
        batch=batch.id,
        attempt=0,
        word=word,
        decision=Decision.DEAD,
        count=batch.count,
        rows=bitmap(range(batch.count), batch.count),
        sample=why,
    )
    return [Put(setback), *deliveries(kit, batch, good=0, dead=batch.count)]
