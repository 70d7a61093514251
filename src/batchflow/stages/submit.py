"""Submit: the only step that costs money.

Intent first (token, count, watermark, account, reservation: committed before the call), then one POST that nobody repeats,
then what is known: accepted, refused, or in doubt. A batch whose reply is lost leaves `in_doubt` only through `resolve`.
"""

from collections.abc import AsyncGenerator, Sequence

import anyio
import msgspec

from batchflow.machine.backoff import backoff
from batchflow.machine.batch import (
    Accepted,
    Deferred,
    Intended,
    Oversized,
    PutOff,
    Rejected,
    Withdrawn,
    step,
)
from batchflow.machine.cadence import LONGEST_HINT
from batchflow.machine.run import LIVE
from batchflow.model import errors
from batchflow.model.change import Cap, Count, Note, Put, Step
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Batch, BatchState, Intent, IntentState, Remote
from batchflow.model.words import Word
from batchflow.ports.provider import Outgoing
from batchflow.stages.account import out_of_sight
from batchflow.stages.doubt import doubt
from batchflow.stages.evidence import Evidence
from batchflow.stages.fail import rejected_rows
from batchflow.stages.kit import Kit
from batchflow.stages.lookout import Lookout
from batchflow.stages.objects import read_footer, read_frames
from batchflow.stages.recheck import may_be_sent
from batchflow.stages.split import split
from batchflow.stages.wall import blame

MEMORY = 2 << 20
PAUSING = frozenset({Word.UNAUTHORIZED, Word.NO_CREDIT})
FIRST_POLL = 1.0
UNSETTLED = (BatchState.SUBMITTING, BatchState.IN_DOUBT)
ABANDONED = 3600.0
"""A call that was made so long ago and never settled is of a run that nobody drives: nobody should wait for it."""
SETTLING = (BatchState.SUBMITTING, BatchState.IN_DOUBT, BatchState.RUNNING, BatchState.CANCELING, BatchState.ENDED)
"""States of batches that will give back by themselves what they reserved."""


async def submit(kit: Kit, id: str, lookout: Lookout, evidence: Evidence) -> None:
    """Send one drafted batch, if it may be sent now."""
    batch = await kit.batch(id)
    run = await kit.current()
    if batch.state is not BatchState.DRAFTED or run.state not in LIVE:
        return
    if batch.cancel or run.cancel:
        await withdraw(kit, batch)
        return
    async with kit.hold(MEMORY):
        # One at a time: two calls that looked for rivals together would not see each other.
        async with lookout.turn:
            intent = await _prepare(kit, batch, lookout, evidence)
        if intent is not None:
            await _send(kit, intent, lookout)


async def _prepare(kit: Kit, batch: Batch, lookout: Lookout, evidence: Evidence) -> Intent | None:
    """Commit the intent, unless another batch, an earlier call of this one, another account or the budget is in the way."""
    if await _stays_out(kit, batch):
        return None
    if rival := await _rival(kit, batch):
        await _defer(kit, batch, 2.0, f"waits for batch {rival}, which has as many requests and an unknown fate")
        return None
    if not await may_be_sent(kit, batch, evidence):
        return None
    return await _intend(kit, batch, await lookout.watermark(kit))


async def _stays_out(kit: Kit, batch: Batch) -> bool:
    """Send nothing of a run as somebody else while an earlier call of it may have made what only its own account can see.

    A batch in doubt is waited for, since a moment later it is found or held; one that is held is for a person to settle.
    """
    found = await out_of_sight(kit)
    if found is None:
        return False
    other, call = found
    why = (
        f"batch {other.id} ({other.count:,} requests) was sent with another key (fingerprint {call.binding.key} at "
        f"{call.binding.base_url}), and this one ({kit.provider.binding().key or 'none'}) cannot tell whether it exists, so "
        "nothing of this run is sent with it"
    )
    if other.state is BatchState.IN_DOUBT:
        await _defer(kit, batch, 1.0, why)
    else:
        await kit.pause(
            f"{why}. Give the job its old key, or another of the same workspace, and resume it; or, if that batch is not to "
            f"be waited for, say so: `batchflow reconcile {kit.run[:16]} --give-up {other.id[:16]}`"
        )
    return True


async def withdraw(kit: Kit, batch: Batch) -> None:
    """Cancel a batch that was never sent, or that an earlier call may have sent unseen: that is told, for it would be paid for."""
    lost = await kit.store.find(Intent, {"batch": batch.id, "state": IntentState.ABSENT}, limit=1)
    why = "canceled while nobody knew whether it was sent" if lost else "canceled before it was sent"
    paid = "what a lost call may have made is watched for, and paid for if it turns up" if lost else "nothing was paid"
    stepped = step(batch, Withdrawn())
    await kit.commit(
        Put(stepped.batch),
        Count(kit.run, stepped.books),
        *rejected_rows(kit, stepped.batch, Word.CANCELED, why),
        kit.event("batch.canceled", batch.id, f"{why}; {paid}"),
    )


async def _rival(kit: Kit, batch: Batch) -> str:
    """Find a batch of the same size whose fate is unknown: while there is one, a lost reply could not be told apart."""
    unsettled = await kit.store.find(Batch, {"state": UNSETTLED, "count": batch.count})
    return next((other.id for other in unsettled if other.id != batch.id and not _abandoned(kit, other)), "")


def _abandoned(kit: Kit, other: Batch) -> bool:
    """Tell whether nobody looks for a batch any more. This run looks for its own, however long that takes."""
    return other.run != kit.run and (other.submitted_at or 0.0) <= kit.now() - ABANDONED


async def _defer(kit: Kit, batch: Batch, after: float, why: str) -> None:
    stepped = step(batch, Deferred(wake_at=kit.now() + after, why=why))
    await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books))


async def _intend(kit: Kit, batch: Batch, watermark: float) -> Intent | None:
    """Commit the intent, within the budget; None when the budget says no."""
    now = kit.now()
    token = kit.token()
    stepped = step(batch, Intended(token=token, submitted_at=now))
    intent = Intent(
        token=token,
        run=kit.run,
        batch=batch.id,
        count=batch.count,
        at=now,
        last_byte_at=now,
        watermark=watermark,
        binding=kit.provider.binding(),
    )
    budget = kit.parts.rules.budget
    cap = [Cap(kit.run, ("reserved", "paid"), budget)] if budget is not None else []
    try:
        await kit.commit(Put(stepped.batch), Put(intent), Count(kit.run, stepped.books), *cap)
    except errors.OverCap:
        await _over_budget(kit, batch)
        return None
    return intent


async def _over_budget(kit: Kit, batch: Batch) -> None:
    """Wait for reservations in flight to be settled; with none that settles by itself the money is really gone."""
    if await kit.store.find(Batch, {"run": kit.run, "state": SETTLING}, limit=1):
        await _defer(kit, batch, 5.0, "waits for the budget: batches in flight hold the rest of it")
        return
    await kit.pause("the budget is used up: the next batch could cost more than is left")


async def _send(kit: Kit, intent: Intent, lookout: Lookout) -> None:
    """Make the call, and commit what is known after it."""
    batch = await kit.batch(intent.batch)
    deadline = kit.boot() + kit.parts.rules.submit.timeout
    assert batch.requests is not None
    broken: list[errors.BatchflowError] = []
    chunks = _chunks(kit, batch, broken)
    outgoing = Outgoing(
        token=intent.token,
        count=batch.count,
        params_bytes=batch.bytes,
        chunks=chunks,
        check=lambda: kit.still_mine(deadline),
        timeout=kit.parts.rules.submit.timeout,
    )
    try:
        remote = await kit.provider.submit(outgoing)
    except errors.Unreachable as error:
        await _put_off(kit, batch, intent, error)
    except errors.Refused as error:
        await _refused(kit, batch, intent, error)
    except errors.ReplyLost as error:
        if broken:  # The body was never finished, so no server can have understood it.
            await _take_back(kit, batch, intent, broken[0])
        await doubt(kit, batch, error.message)
    except errors.Locked:
        raise  # Whoever drives the run now finds the intent, and what became of it.
    except (errors.StoreError, errors.Bug) as error:
        await _take_back(kit, batch, intent, error)
    except Exception as error:
        await doubt(kit, batch, f"the call broke down ({errors.spoken(error)})")
        raise blame(kit.provider, f"while it submitted batch {batch.id}", error) from error
    else:
        with anyio.CancelScope(shield=True):
            await _accepted(kit, intent, remote)
        lookout.seen(remote.created_at)
    finally:
        await chunks.aclose()


async def _chunks(kit: Kit, batch: Batch, broken: list[errors.BatchflowError]) -> AsyncGenerator[Sequence[bytes]]:
    """Read the requests; an error in our own store is kept, for whoever sends them may report it as something else."""
    assert batch.requests is not None
    try:
        async for lines in read_frames(kit.blobs, batch.requests, await read_footer(kit.blobs, batch.requests)):
            yield lines
    except errors.BatchflowError as error:
        broken.append(error)
        raise


async def _accepted(kit: Kit, intent: Intent, remote: RemoteBatch) -> None:
    """Write down that money was spent, as the batch's new state; where that cannot be, as a fact that needs no permission."""
    now = kit.now()
    fact = Note(Remote(id=remote.id, run=kit.run, batch=intent.batch, token=intent.token, at=now))
    accepted = Accepted(wake_at=now + FIRST_POLL, remote=remote.id, expires_at=remote.expires_at)
    done = msgspec.structs.replace(intent, version=intent.version + 1, state=IntentState.ACCEPTED)
    try:
        batch = await kit.batch(intent.batch)
        stepped = step(batch, accepted)
        await kit.commit(
            fact,
            Put(stepped.batch),
            Put(done),
            Count(kit.run, stepped.books),
            kit.event(
                "batch.submitted",
                batch.id,
                f"{batch.count} requests as {remote.id}",
                {"remote": remote.id, "count": batch.count},
            ),
        )
    except errors.BatchflowError as error:
        await kit.record(fact)
        if isinstance(error, errors.Stale) and error.subject == intent.batch:
            await _accepted(kit, intent, remote)
            return
        raise


async def _take_back(kit: Kit, batch: Batch, intent: Intent, error: errors.BatchflowError) -> None:
    """Undo the intent of a call that broke off on our side, before its end: no server can have understood it."""
    stepped = step(batch, PutOff(wake_at=kit.now() + backoff(batch.tries), why=error.message))
    await kit.commit(Put(stepped.batch), Put(_refuse(intent)), Count(kit.run, stepped.books))
    raise error


async def _put_off(kit: Kit, batch: Batch, intent: Intent, error: errors.ProviderError) -> None:
    """Nothing was created: the rows wait, and are sent again later."""
    wait = max(min(error.retry_after or 0.0, LONGEST_HINT), backoff(batch.tries))
    stepped = step(batch, PutOff(wake_at=kit.now() + wait, why=error.message))
    await kit.commit(
        Put(stepped.batch),
        Put(_refuse(intent)),
        Count(kit.run, stepped.books),
        kit.event("batch.put_off", batch.id, error.message, {"after": wait}),
    )
    error.told = True
    raise error


async def _refused(kit: Kit, batch: Batch, intent: Intent, error: errors.Refused) -> None:
    """Sort a definite no: for the account, for the size, for now, or for good."""
    if error.max_requests or error.word is Word.TOO_LARGE:
        await _too_large(kit, batch, intent, error)
    elif error.word in PAUSING:
        stepped = step(batch, PutOff(wake_at=kit.now(), why=error.message))
        await kit.commit(Put(stepped.batch), Put(_refuse(intent)), Count(kit.run, stepped.books))
        await pause(kit, error)
    elif error.word in {Word.INVALID, Word.UNKNOWN_MODEL, Word.CONTEXT_EXCEEDED}:
        stepped = step(batch, Rejected(blanket=error.word, why=error.message))
        await kit.commit(
            Put(stepped.batch),
            Put(_refuse(intent)),
            Count(kit.run, stepped.books),
            *rejected_rows(kit, stepped.batch, error.word, error.message),
            kit.event("batch.refused", batch.id, error.message),
        )
    else:
        await _put_off(kit, batch, intent, error)


async def pause(kit: Kit, error: errors.ProviderError) -> None:
    """Pause the run for a reason that only its owner can mend; every row is kept."""
    await kit.pause(f"{error.message} {error.hint}".strip(), error.word)


async def _too_large(kit: Kit, batch: Batch, intent: Intent, error: errors.Refused) -> None:
    """Send the rows in smaller batches; a single row that is too large alone is a dead letter."""
    if batch.count == 1:
        stepped = step(batch, Rejected(blanket=Word.TOO_LARGE, why=error.message))
        more: list[Step] = rejected_rows(kit, stepped.batch, Word.TOO_LARGE, error.message)
    else:
        stepped = step(batch, Oversized(why=error.message))
        most = error.max_requests or batch.count
        more = await split(kit, batch, most if most < batch.count else (batch.count + 1) // 2)
    await kit.commit(Put(stepped.batch), Put(_refuse(intent)), Count(kit.run, stepped.books), *more)


def _refuse(intent: Intent) -> Intent:
    return msgspec.structs.replace(intent, version=intent.version + 1, state=IntentState.REFUSED)
