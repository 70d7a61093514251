"""Redeliver: rows that a sink refused are brought to it again, because somebody has mended what refused them.

Their answers are stored and paid for, so nothing is asked and nothing is spent.
"""

from collections import Counter

import msgspec

from batchflow.machine.batch import Recalled, step
from batchflow.model.change import Count, Put, Step
from batchflow.model.state import Decision, Delivery, DeliveryState, Setback
from batchflow.model.words import Word
from batchflow.stages.kit import Kit


async def redeliver(kit: Kit) -> tuple[int, list[Step]]:
    """Give the steps that make the parts of refused rows due and their rows good again; say how many rows they are."""
    parts = await kit.every(Delivery, {"run": kit.run, "state": DeliveryState.REFUSED})
    steps: list[Step] = [
        Put(
            msgspec.structs.replace(
                part, version=part.version + 1, state=DeliveryState.DUE, attempts=0, wake_at=kit.now(), why=""
            )
        )
        for part in parts
    ]
    return sum(part.rows for part in parts), steps + await _good_again(kit)


async def _good_again(kit: Kit) -> list[Step]:
    where = {"run": kit.run, "word": Word.SINK_ERROR, "decision": Decision.DEAD}
    letters = await kit.every(Setback, where)
    back = Counter[str]()
    for letter in letters:
        back[letter.batch] += letter.count
    steps: list[Step] = [
        Put(msgspec.structs.replace(letter, version=letter.version + 1, decision=Decision.KEEP)) for letter in letters
    ]
    for id, rows in back.items():
        batch = await kit.batch(id)
        stepped = step(batch, Recalled(good=batch.good + rows))
        steps += [Put(stepped.batch), Count(kit.run, stepped.books)]
    return steps
