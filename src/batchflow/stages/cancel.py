"""Cancel: what becomes of rows that nobody will send again."""

import msgspec

from batchflow.model.change import Count, Put
from batchflow.model.state import Decision
from batchflow.model.words import Word
from batchflow.stages.kit import Kit
from batchflow.stages.repack import waiting


async def cancel_waiting(kit: Kit) -> bool:
    """Give up the rows that wait for another try; False when there were none."""
    setbacks = await waiting(kit)
    if not setbacks:
        return False
    given_up = [
        msgspec.structs.replace(s, version=s.version + 1, decision=Decision.DEAD, word=Word.CANCELED, wake_at=None)
        for s in setbacks
    ]
    rows = sum(setback.count for setback in setbacks)
    await kit.commit(*(Put(setback) for setback in given_up), Count(kit.run, {"waiting": -rows, "canceled": rows}))
    return True
