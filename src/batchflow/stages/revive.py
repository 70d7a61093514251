"""Revive: dead letters of a finished run are asked once more, because somebody said so.

Their requests are sent as they were; only rows that were cut off get the larger cap that the policy has for them, since
the same cap would buy the same cut answer.
"""

from collections.abc import AsyncGenerator, Collection

import msgspec

from batchflow.machine.run import Reawakened
from batchflow.model import errors
from batchflow.model.change import Count, Put, Step
from batchflow.model.state import Batch, Decision, Setback
from batchflow.model.words import Word
from batchflow.ports.retry import Failure, Retry
from batchflow.stages.kit import Kit
from batchflow.stages.reject import LANE
from batchflow.stages.repack import RESTART


async def revive(kit: Kit, words: Collection[Word]) -> int:
    """Make the dead letters of these words wait for another try, and wake the run; say how many there are."""
    steps: list[Step] = []
    moves = {"waiting": 0, "dead": 0, "canceled": 0}
    async for setback in _dead(kit, words):
        change = {RESTART: True, **_difference(kit, setback)}
        steps.append(
            Put(
                msgspec.structs.replace(
                    setback,
                    version=setback.version + 1,
                    decision=Decision.AGAIN,
                    change=change,
                    wake_at=kit.now(),
                )
            )
        )
        moves["waiting"] += setback.count
        moves["canceled" if setback.word is Word.CANCELED else "dead"] -= setback.count
    if not steps:
        raise errors.RunRefused(
            f"run {kit.run[:16]} has no dead letters of {', '.join(sorted(words))} that could be asked again",
            hint=f"`batchflow report {kit.run[:16]}` lists its dead letters by word",
        )
    moves["retried"] = moves["waiting"]
    text = f"{moves['waiting']} dead letters are asked again ({', '.join(sorted(words))})"
    await kit.step_run(Reawakened(), Count(kit.run, moves), kit.event("run.retried", kit.run, text), *steps)
    return moves["waiting"]


async def _dead(kit: Kit, words: Collection[Word]) -> AsyncGenerator[Setback]:
    """List the dead letters that were once requests: what never became one has nothing that could be sent."""
    where = {"run": kit.run, "decision": Decision.DEAD, "word": tuple(words)}
    after = ""
    while found := await kit.store.find(Setback, where, after=after):
        for setback in found:
            batch = await kit.store.get(Batch, setback.batch)
            if batch is not None and batch.lane != LANE:
                yield setback
        after = found[-1].id


def _difference(kit: Kit, setback: Setback) -> dict[str, object]:
    if setback.word is not Word.TRUNCATED:
        return {}
    first = Failure(word=setback.word, message=setback.sample, key="", carried={}, attempt=1)
    verdict = kit.parts.retry.decide(first)
    if isinstance(verdict, Retry):
        return verdict.change
    raise errors.RunRefused(
        "truncated answers would be cut off again at the same length, and paid for again",
        hint="say in the job how far the cap may grow: `retry: {truncated: {max_tokens: 2x, ceiling: 4000}}`",
    )
