"""Renew: a batch that came to its end unanswered lives on in a new one, with the same objects, rows and calls.

What a call of it made may turn up yet, and is found by that call's token. So the calls go along: whatever turns up is joined
with the new batch row by row, as if there had been no end. Its dead letters are packed in the new batch, in the same commit.
"""

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from batchflow.model.change import Count, Put, Step
from batchflow.model.errors import ObjectDamaged
from batchflow.model.state import Batch, BatchState, Decision, Event, Intent, Setback
from batchflow.model.words import Word
from batchflow.stages.kit import Kit
from batchflow.stages.objects import read_footer
from batchflow.stages.reject import LANE

UNANSWERED = (BatchState.CANCELED, BatchState.FAILED)
"""Ends of batches none of whose rows was ever answered to us."""
RULED = (f"batch.ruled.{BatchState.DRAFTED}", f"batch.ruled.{BatchState.CANCELED}")
"""Events of a person's word that a call made nothing, of a batch that was in doubt and of one whose run was canceled."""
TOKENS = "tokens"
"""Which calls such a word was about."""


async def letters_of(kit: Kit, batch: Batch) -> list[Setback]:
    """Give the dead letters that are all the rows of an unanswered batch; none where any row has gone elsewhere."""
    if batch.state not in UNANSWERED or batch.lane == LANE or not await _has_context(kit, batch):
        return []
    letters = [one for one in await kit.every(Setback, {"batch": batch.id}) if one.count and not one.packed_in]
    return letters if sum(one.count for one in letters) == batch.count else []


async def _has_context(kit: Kit, batch: Batch) -> bool:
    """Tell whether it is still known which rows these were: `gc` takes that away."""
    try:
        return batch.context is not None and bool(await read_footer(kit.blobs, batch.context))
    except ObjectDamaged:
        return False


def heir_of(kit: Kit, batch: Batch) -> Batch:
    """Make the batch in which another lives on, not written yet: its version is the one before the first."""
    return Batch(
        id=kit.fresh(),
        version=0,
        run=batch.run,
        wake_at=kit.now(),
        count=batch.count,
        bytes=batch.bytes,
        retry=True,
        reserved=batch.reserved,
        requests=batch.requests,
        context=batch.context,
    )


async def renew(
    kit: Kit, batch: Batch, heir: Batch, letters: Sequence[Setback], *, but: Collection[str] = ()
) -> list[Step]:
    """Give the steps that take the rows and the calls of a batch to its heir, `but` for calls whose steps are given elsewhere.

    The rows wait with them; writing the heir is left to whoever knows its state.
    """
    moves = Counter({"waiting": batch.count})
    for one in letters:
        moves[_place(one)] -= one.count
    packed = [
        msgspec.structs.replace(one, version=one.version + 1, decision=Decision.AGAIN, packed_in=heir.id, wake_at=None)
        for one in letters
    ]
    calls = [
        msgspec.structs.replace(call, version=call.version + 1, batch=heir.id)
        for call in await kit.every(Intent, {"batch": batch.id})
        if call.token not in but
    ]
    return [*map(Put, packed), *map(Put, calls), Count(kit.run, {name: n for name, n in moves.items() if n})]


async def is_ruled(kit: Kit, call: Intent) -> bool:
    """Tell whether a person has said that this call made nothing."""
    said = await kit.every(Event, {"run": kit.run, "kind": RULED})
    return any(event.subject == call.batch or call.token in event.data.get(TOKENS, ()) for event in said)


def _place(letter: Setback) -> str:
    """Say where in the books the rows of a setback are."""
    if letter.decision is Decision.AGAIN:
        return "waiting"
    return "canceled" if letter.word is Word.CANCELED else "dead"
