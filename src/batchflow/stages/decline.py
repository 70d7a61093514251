"""Decline: rows that a sink's target will not have become dead letters, so that they hold back nobody else's.

They stay where they are, paid for and stored, in a part of their own that waits for nobody: `redeliver` brings it to the
sink again once somebody has mended the target. Sinks of dead letters are told of them like of any other.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice

from batchflow.machine.batch import Declined, step
from batchflow.machine.bitmap import bitmap, rows_of
from batchflow.model.change import Count, Put, Step
from batchflow.model.state import Batch, BatchState, Decision, Delivery, DeliveryState, Setback
from batchflow.model.words import Word
from batchflow.ports.sink import Refusal
from batchflow.stages.kit import Kit
from batchflow.stages.route import deliveries

REASONS = 20
"""Reasons told apart in one part; a trigger may make up a new one for every row."""


async def decline(kit: Kit, delivery: Delivery, refused: Sequence[Refusal]) -> list[Step]:
    """Give the steps that take these rows out of their part and, where they were good until now, out of the good ones."""
    if not refused:
        return []
    batch = await kit.batch(delivery.batch)
    setbacks = await kit.every(Setback, {"batch": batch.id})
    number = 1 + max(map(_number, await _siblings(kit, delivery)))
    steps: list[Step] = [Put(_apart(kit, delivery, batch, refused, number)), _told(kit, delivery, refused)]
    lost = _newly_dead(batch, refused, setbacks)
    if lost:
        generation = 1 + max((setback.generation for setback in setbacks), default=0)
        stepped = step(batch, Declined(good=batch.good - len(lost)))
        steps += [Put(stepped.batch), Count(kit.run, stepped.books)]
        told = _told_before(setbacks)
        steps += map(Put, _letters(kit, delivery, batch, lost, told, generation))
        mourners = [outlet for outlet in kit.parts.outlets if outlet.on == "dead"]
        news = sum(one.row not in told for one in lost)
        steps += deliveries(kit, batch, good=0, dead=news, generation=generation, outlets=mourners)
    return steps


def _newly_dead(batch: Batch, refused: Iterable[Refusal], setbacks: Iterable[Setback]) -> list[Refusal]:
    """Leave out what is dead already: a table of dead letters has rules, too, and so has a second sink."""
    if batch.state is not BatchState.COLLECTED:
        return []  # it never had a good row
    dead = {row for one in setbacks if one.decision is Decision.DEAD for row in rows_of(one.rows)}
    return [one for one in refused if one.row not in dead]


def _told_before(setbacks: Iterable[Setback]) -> dict[int, int]:
    """Say in which parts sinks of dead letters were told of rows that were refused before, and are not told again."""
    return {row: one.generation for one in setbacks if one.word is Word.SINK_ERROR for row in rows_of(one.rows)}


async def rows_of_part(kit: Kit, delivery: Delivery, batch: Batch) -> frozenset[int] | None:
    """Name the rows of a part, without those that were parted from it and come in parts of their own; None for all."""
    apart = {
        row for one in await _siblings(kit, delivery) if _number(one) > _number(delivery) for row in rows_of(one.only)
    }
    mine = frozenset(rows_of(delivery.only)) or None
    return frozenset(range(batch.count) if mine is None else mine) - apart if apart else mine


async def _siblings(kit: Kit, delivery: Delivery) -> Sequence[Delivery]:
    where = {"batch": delivery.batch, "sink": delivery.sink, "generation": delivery.generation}
    return await kit.every(Delivery, where)


def _number(part: Delivery) -> int:
    """Tell the parts of one batch, sink and generation apart: 0 is the whole, the others are what was refused of it."""
    return int(part.id.rpartition("/")[2].partition("~")[2] or 0)


def _apart(kit: Kit, delivery: Delivery, batch: Batch, refused: Sequence[Refusal], number: int) -> Delivery:
    """Make the part of the refused rows. Its name is a new one: the sink knows the old name as written."""
    whole = delivery.id.rpartition("~")[0] if _number(delivery) else delivery.id
    return Delivery(
        id=f"{whole}~{number}",
        run=kit.run,
        batch=delivery.batch,
        sink=delivery.sink,
        generation=delivery.generation,
        state=DeliveryState.REFUSED,
        wake_at=None,
        rows=len(refused),
        only=bitmap((one.row for one in refused), batch.count),
        why=_said(refused[0]),
    )


def _letters(
    kit: Kit, delivery: Delivery, batch: Batch, lost: Iterable[Refusal], told: Mapping[int, int], generation: int
) -> Iterable[Setback]:
    """Write the dead letters down, those of one reason together that are told of in the same part."""
    parts: dict[int, list[Refusal]] = {}
    for one in lost:
        parts.setdefault(told.get(one.row, generation), []).append(one)
    numbers = count()
    for part, refused in parts.items():
        yield from _letters_of(kit, delivery, batch, refused, part, numbers)


def _letters_of(
    kit: Kit, delivery: Delivery, batch: Batch, lost: Iterable[Refusal], generation: int, numbers: Iterator[int]
) -> Iterable[Setback]:
    groups: dict[str, list[Refusal]] = {}
    for one in lost:
        groups.setdefault(one.why, []).append(one)
    few = list(islice(groups.values(), REASONS))
    many = [one for group in islice(groups.values(), REASONS, None) for one in group]
    for group in [*few, many] if many else few:
        why = group[0].why if group is not many else f"for one of many reasons, such as: {group[0].why}"
        yield Setback(
            id=f"{delivery.id}/refused/{next(numbers)}",
            run=kit.run,
            batch=batch.id,
            attempt=0,
            word=Word.SINK_ERROR,
            decision=Decision.DEAD,
            count=len(group),
            rows=bitmap((one.row for one in group), batch.count),
            key=group[0].key,
            sample=f"sink {delivery.sink} refused it: {why}"[:500],
            generation=generation,
        )


def _told(kit: Kit, delivery: Delivery, refused: Sequence[Refusal]) -> Step:
    text = f"{len(refused):,} of {delivery.rows:,} rows, by sink {delivery.sink}; the first: {_said(refused[0])}"
    return kit.event("part.refused", delivery.id, text)


def _said(one: Refusal) -> str:
    return f"{one.key}: {one.why}"[:500]


def strangers(batch: Batch, refused: Collection[Refusal]) -> list[int]:
    """Name rows that no part of this batch can have."""
    return [one.row for one in refused if not 0 <= one.row < batch.count]
