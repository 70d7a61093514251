"""Doubt: a call was begun, and nobody knows what it created. Only `resolve` finds out."""

import msgspec

from batchflow.machine.batch import ReplyLost, step
from batchflow.model.change import Count, Put
from batchflow.model.state import Batch, Intent
from batchflow.stages.kit import Kit

DIED = "the process died in the middle of the call"
SLEPT = "the process slept in the middle of the call, for longer than its lease"


async def doubt(kit: Kit, batch: Batch, why: str) -> None:
    """Put a batch in doubt: it may have been created, and the last byte of the call may have left just now."""
    now = kit.now()
    stepped = step(batch, ReplyLost(wake_at=now, why=why))
    intents = await kit.store.find(Intent, {"token": batch.token})
    moved = [msgspec.structs.replace(intent, version=intent.version + 1, last_byte_at=now) for intent in intents]
    await kit.commit(
        Put(stepped.batch),
        *(Put(intent) for intent in moved),
        Count(kit.run, stepped.books),
        kit.event("batch.in_doubt", batch.id, f"{why.rstrip('.')}. It is looked for in the listing"),
    )
