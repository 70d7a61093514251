"""Repack: rows to be asked again, from many batches, travel together in one retry batch.

Drafting it and taking the rows is one transaction: a row that was packed is never packed twice.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from batchflow.machine.bitmap import rows_of
from batchflow.model.blob import Blob
from batchflow.model.change import Count, Put, Step
from batchflow.model.errors import ObjectDamaged
from batchflow.model.result import Result
from batchflow.model.state import Batch, Decision, Setback
from batchflow.model.words import Word
from batchflow.ports.builder import BuildError
from batchflow.stages.bury import bury, lost, without
from batchflow.stages.context import Row
from batchflow.stages.kit import Kit
from batchflow.stages.mend import mend
from batchflow.stages.objects import NO_ROW, Footer, read_footer, read_frames
from batchflow.stages.pack import Pack
from batchflow.stages.verdicts import SAY, examine
from batchflow.stages.walk import numbered

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
    """Draft a retry batch from these setbacks, and take their rows; come back if answers had to be fetched again for it."""
    try:
        await _repack(kit, chosen)
    except ObjectDamaged as damage:
        troubles = [await mend(kit, id, damage) for id in sorted({setback.batch for setback in chosen})]
        if all(troubles):
            raise


async def _repack(kit: Kit, chosen: Sequence[Setback]) -> None:
    by_batch: dict[str, list[Setback]] = {}
    for setback in chosen:
        by_batch.setdefault(setback.batch, []).append(setback)
    steps: list[Step] = []
    dead = 0
    async with Pack(kit, retry=True) as pack:
        for id, setbacks in by_batch.items():
            origin = await kit.batch(id)
            async with kit.hold(_weight(origin, setbacks)):
                taken, buried = await _take(kit, pack, origin, setbacks)
            steps += [*map(Put, taken), *(await bury(kit, origin, buried) if buried else [])]
            dead += sum(setback.count for setback in buried)
        batch = await pack.seal() if pack.rows else None
    if batch is not None:
        words = ", ".join(sorted({setback.word for setback in chosen}))
        text = f"{batch.count} requests asked again ({words})"
        steps += [Put(batch), kit.event("batch.drafted", batch.id, text, {"count": batch.count})]
    if dead:
        steps.append(Count(kit.run, {"waiting": -dead, "dead": dead}))
    await kit.commit(*steps)


def _weight(batch: Batch, setbacks: Sequence[Setback]) -> int:
    """Estimate what taking rows holds: a few frames, and the answers that the next requests are made from."""
    changed = sum(setback.count for setback in setbacks if _change(setback))
    return (4 << 20) + changed * (2 * batch.bytes // max(1, batch.count) + 1000)


async def _take(kit: Kit, pack: Pack, batch: Batch, setbacks: Sequence[Setback]) -> tuple[list[Setback], list[Setback]]:
    """Copy the rows of one batch's setbacks, changed as decided; the second list are those that cannot be changed so."""
    owners = {row: setback for setback in setbacks for row in rows_of(setback.rows)}
    changed = [row for row, setback in owners.items() if _change(setback)]
    answers = await _answers(kit, batch, changed) if changed else {}
    refused: dict[tuple[str, str], list[int]] = {}
    samples: dict[tuple[str, str], str] = {}
    async for first, params, rows in numbered(kit, batch):
        again: list[tuple[bytes, Row]] = []
        for row in sorted(owners.keys() & range(first, first + len(rows))):
            setback, context = owners[row], rows[row - first]
            try:
                made = _next_request(kit, setback, params[row - first], context, answers.get(row, b""))
            except BuildError as error:
                refused.setdefault((setback.id, str(error)), []).append(row)
                samples.setdefault((setback.id, str(error)), f"{context.key}: {error}")
            else:
                again.append((made, _next_attempt(context, setback)))
        if again:
            await pack.add([made for made, _ in again], [row for _, row in again])
    return _settled(batch, setbacks, pack.id, refused, samples)


def _settled(
    batch: Batch,
    setbacks: Sequence[Setback],
    packed_in: str,
    refused: Mapping[tuple[str, str], Sequence[int]],
    samples: Mapping[tuple[str, str], str],
) -> tuple[list[Setback], list[Setback]]:
    """Say of each setback which of its rows were packed, and which died; rows that died of the same are one setback."""
    by_id = {setback.id: setback for setback in setbacks}
    buried = [
        lost(by_id[id], rows, batch, number, samples[id, why])
        for number, ((id, why), rows) in enumerate(refused.items())
    ]
    dead = {(id, row) for (id, _), rows in refused.items() for row in rows}
    taken: list[Setback] = []
    for setback in setbacks:
        rows = [row for row in rows_of(setback.rows) if (setback.id, row) not in dead]
        taken.append(without(setback, rows, batch, packed_in if rows else NOWHERE))
    return taken, buried


def _change(setback: Setback) -> dict[str, Any]:
    """Give what is to change in the request, leaving out what is about the count of attempts."""
    return {name: value for name, value in setback.change.items() if name not in {SAME_ATTEMPT, RESTART}}


def _next_request(kit: Kit, setback: Setback, params: bytes, context: Row, answer: bytes) -> bytes:
    change = _change(setback)
    return _amend(kit, params, context, change, answer) if change else params


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
        line=told.line,
        stop_reason=told.stop_reason,
    )
    return kit.provider.amend(params, change | {SAY: examine(result, kit.parts.checks).error.splitlines()}, answer)


def _next_attempt(row: Row, setback: Setback) -> Row:
    if SAME_ATTEMPT in setback.change:
        return row
    return msgspec.structs.replace(row, attempt=1 if RESTART in setback.change else row.attempt + 1)


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
        found |= {row: lines[place - start][:-1] for place, row in places.items() if start <= place < end}
        start = end
    return found
