"""Reopen: whatever waited for a person is looked at again when a run is picked up."""

from collections import Counter

import msgspec

from batchflow.machine.batch import RESERVING, Deferred, Reopened, step
from batchflow.model import errors
from batchflow.model.change import Count, Put
from batchflow.model.state import Batch, BatchState, Delivery, DeliveryState, Intent
from batchflow.stages.account import sees
from batchflow.stages.deliver import settle
from batchflow.stages.doubt import DIED, doubt
from batchflow.stages.kit import Kit


async def reopen(kit: Kit) -> None:
    """Make everything that waited due again, and call POSTs that died with their process what they are: in doubt."""
    await doubt_dead_calls(kit)
    await look_again(kit)
    await _try_again(kit)
    for part in await kit.every(Delivery, {"run": kit.run, "state": DeliveryState.PARKED}):
        due = msgspec.structs.replace(
            part, version=part.version + 1, state=DeliveryState.DUE, attempts=0, wake_at=kit.now(), why=""
        )
        await kit.commit(Put(due))
    for batch in await kit.every(Batch, {"run": kit.run, "state": BatchState.COLLECTED}):
        await settle(kit, batch.id)


async def doubt_dead_calls(kit: Kit) -> None:
    """Put the POSTs of a dead process in doubt. Whoever holds the lease without being in a call knows that they are dead."""
    for batch in await kit.every(Batch, {"run": kit.run, "state": BatchState.SUBMITTING}):
        await doubt(kit, batch, DIED)


async def look_again(kit: Kit) -> None:
    """Put held batches in doubt once more: what could not be told then may be told now."""
    for batch in await kit.every(Batch, {"run": kit.run, "state": BatchState.HELD}):
        stepped = step(batch, Reopened(wake_at=kit.now()))
        await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books))


async def _try_again(kit: Kit) -> None:
    """Send now what was put off: whoever mended the reason sits and waits, and one call more does no harm."""
    for batch in await kit.every(Batch, {"run": kit.run, "state": BatchState.DRAFTED}):
        if batch.wake_at is not None and batch.wake_at > kit.now():
            await kit.commit(Put(step(batch, Deferred(wake_at=kit.now(), why=batch.why)).batch))


async def refuse_other_address(kit: Kit) -> None:
    """Refuse to go on elsewhere while anything is at the old address, or may be: nobody would ever ask for it there again."""
    here = kit.provider.binding().base_url
    there: Counter[str] = Counter()
    for batch in await kit.every(Batch, {"run": kit.run, "state": list(RESERVING)}):
        intent = await kit.store.get(Intent, batch.token)
        if intent is not None and intent.binding.base_url != here:
            there[intent.binding.base_url] += batch.count
    for address, rows in there.items():
        raise errors.RunRefused(
            f"{rows:,} requests of run {kit.run[:16]} are at {address}, or may be, but its provider is at {here} now. Nothing "
            "was touched and nothing was sent",
            hint=f"give the provider its old address ({address}) and run it again; once nothing is in flight there, the "
            "address may be changed",
        )


async def refuse_other_account(kit: Kit) -> None:
    """Refuse to touch batches in flight with a key that cannot see them."""
    states = [BatchState.RUNNING, BatchState.CANCELING, BatchState.ENDED]
    for batch in await kit.every(Batch, {"run": kit.run, "state": states}):
        intent = await kit.store.get(Intent, batch.token)
        if intent is not None and not await sees(kit, intent):
            raise errors.RunRefused(
                f"batch {batch.id} is in flight at {intent.binding.base_url} under another key (fingerprint "
                f"{intent.binding.key}); this key's fingerprint is {kit.provider.binding().key}. Nothing was touched and nothing "
                "was sent",
                hint="run it again with the key it was started with, or with another key of the same workspace",
            )
