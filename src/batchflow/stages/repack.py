"""Repack: rows to be asked again, from many batches, travel together in one retry batch.

Drafting it and taking the rows is one transaction: a row that was packed is never packed twice.
"""

from array import array
from collections.abc import Sequence
from typing import Any

import msgspec

from batchflow.machine.bitmap import rows_of
from batchflow.model.blob import Blob
from batchflow.model.change import Count, Put, Step
from batchflow.model.result import Result
from batchflow.model.state import Batch, Decision, Setback
from batchflow.model.words import Word
from batchflow.ports.builder import BuildError
from batchflow.stages.context import Row, decode_rows
from batchflow.stages.kit import Kit
from batchflow.stages.objects import NO_ROW, Footer, read_footer, read_frames
from batchflow.stages.pack import Pack
from batchflow.stages.reject import Reject, reject
from batchflow.stages.verdicts import SAY, examine

NOWHERE = "none"
"""What setbacks are packed in when none of their rows could be asked again."""
SAME_ATTEMPT = "same_attempt"
RESTART = "restart"
"""Keys of a change that are about the count of attempts, not about the request."""


async def waiting(kit: Kit) -> Sequence[Setback]:
    """List the setbacks whose rows wait for a retry batch."""
    return await kit.store.find(Setback, {"run": kit.run, "decision": Decision.AGAIN, "packed_in": ""})


def ready(setbacks: Sequence[Setback], *, now: float, most: int, after: float, alone: bool) -> list[Setback]:
    """Choose what leaves now: a full pack, or all that is due once the oldest waited enough or nothing else is in flight."""
    due = [setback for setback in setbacks if setback.wake_at is None or setback.wake_at <= now]
    chosen: list[Setback] = []
    rows = 0
    for setback in due:
        if chosen and rows + setback.count > most:
            break
        chosen.append(setback)
        rows += setback.count
    oldest = min((setback.wake_at or 0.0 for setback in due), default=now)
    return chosen if alone or rows >= most or now >= oldest + after else []


async def repack(kit: Kit, chosen: Sequence[Setback]) -> None:
    """Draft a retry batch from these setbacks, and take their rows."""
    rejects: list[Reject] = []
    async with Pack(kit, retry=True) as pack:
        for setback in chosen:
            async with kit.hold(_weight(await kit.batch(setback.batch))):
                rejects += await _add(kit, pack, setback)
        batch = await pack.seal() if pack.rows else None
    packed_in = batch.id if batch is not None else NOWHERE
    steps: list[Step] = [Put(_packed(setback, packed_in)) for setback in chosen]
    if batch is not None:
        words = ", ".join(sorted({setback.word for setback in chosen}))
        steps += [Put(batch), kit.event("batch.drafted", batch.id, f"{batch.count} requests asked again ({words})")]
    if rejects:
        # These were rows already, so they go from waiting to dead; records that never became rows are counted elsewhere.
        steps += [*await reject(kit, rejects), Count(kit.run, {"waiting": -len(rejects), "dead": len(rejects)})]
    await kit.commit(*steps)


def _packed(setback: Setback, batch: str) -> Setback:
    return msgspec.structs.replace(setback, version=setback.version + 1, packed_in=batch, wake_at=None)


def _weight(batch: Batch) -> int:
    """Estimate what re-reading a few rows of a batch holds: their frames, and the batch's context."""
    return (4 << 20) + 200 * batch.count


async def _add(kit: Kit, pack: Pack, setback: Setback) -> list[Reject]:
    """Copy one setback's rows, changed as decided; give back those that cannot be changed so."""
    batch = await kit.batch(setback.batch)
    assert batch.requests is not None
    assert batch.context is not None
    rows = list(rows_of(setback.rows))
    params = await _pick(kit, batch.requests, rows)
    contexts = {row: decode_rows([line])[0] for row, line in (await _pick(kit, batch.context, rows)).items()}
    change = {name: value for name, value in setback.change.items() if name not in {SAME_ATTEMPT, RESTART}}
    rejects: list[Reject] = []
    if change:
        answers = await _answers(kit, batch, rows)
        for row in rows:
            try:
                params[row] = _amend(kit, params[row], contexts[row], change, answers.get(row, b""))
            except BuildError as error:
                rejects.append(Reject(contexts[row].key, contexts[row].origin, setback.word, str(error)))
                del contexts[row]
    if contexts:
        again = [_next_attempt(context, setback) for context in contexts.values()]
        await pack.add([params[row] for row in contexts], again)
    return rejects


def _amend(kit: Kit, params: bytes, context: Row, change: dict[str, Any], answer: bytes) -> bytes:
    """Change one request; the validator's words are found again by asking the checks about the stored answer."""
    if SAY not in change:
        return kit.provider.amend(params, change, answer)
    told = kit.provider.read([answer])[0]
    result = Result(
        key=context.key,
        word=Word.OK,
        attempt=context.attempt,
        batch="",
        row=0,
        origin=context.origin,
        carried=context.carried,
        text=told.text,
        message=told.message,
        stop_reason=told.stop_reason,
    )
    return kit.provider.amend(params, change | {SAY: examine(result, kit.parts.checks).error.splitlines()}, answer)


def _next_attempt(row: Row, setback: Setback) -> Row:
    if SAME_ATTEMPT in setback.change:
        return row
    return msgspec.structs.replace(row, attempt=1 if RESTART in setback.change else row.attempt + 1)


async def _pick(kit: Kit, blob: Blob, rows: Sequence[int]) -> dict[int, bytes]:
    """Read some lines of an object whose lines are in row order."""
    return await _lines_at(kit, blob, await read_footer(kit.blobs, blob), dict(zip(rows, rows, strict=True)))


async def _answers(kit: Kit, batch: Batch, rows: Sequence[int]) -> dict[int, bytes]:
    """Read the result lines of some rows."""
    wanted = frozenset(rows)
    found: dict[int, bytes] = {}
    for part in batch.results:
        footer = await read_footer(kit.blobs, part)
        order = footer.order() or array("I", range(footer.lines))
        places = {place: row for place, row in enumerate(order) if row != NO_ROW and row in wanted}
        found |= await _lines_at(kit, part, footer, places)
    return found


async def _lines_at(kit: Kit, blob: Blob, footer: Footer, places: dict[int, int]) -> dict[int, bytes]:
    """Read the lines at some places, and name them by row, in the order of the places."""
    found: dict[int, bytes] = {}
    start = 0
    async for lines in read_frames(kit.blobs, blob, footer):
        end = start + len(lines)
        found |= {row: lines[place - start] for place, row in places.items() if start <= place < end}
        start = end
    return found
