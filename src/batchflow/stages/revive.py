"""Revive: dead letters of a finished run are asked once more, because somebody said so; those of a sink are brought to it.

Their requests are sent as they were; only rows that were cut off get the larger cap that the policy has for them, since
the same cap would buy the same cut answer.
"""

from collections.abc import AsyncGenerator, Collection

import msgspec

from batchflow.machine.bitmap import rows_of
from batchflow.machine.run import Reawakened
from batchflow.model import errors
from batchflow.model.change import Count, Note, Put, Step
from batchflow.model.state import Batch, Decision, Entry, Setback
from batchflow.model.words import BILLED, Word
from batchflow.ports.retry import Failure, Retry
from batchflow.stages.join import Joiner
from batchflow.stages.kit import Kit
from batchflow.stages.redeliver import redeliver
from batchflow.stages.reject import LANE
from batchflow.stages.repack import RESTART


async def revive(kit: Kit, words: Collection[Word]) -> int:
    """Make the dead letters of these words wait for another try, and wake the run; say how many there are."""
    brought, steps = await redeliver(kit) if Word.SINK_ERROR in words else (0, [])
    moves = {"waiting": 0, "dead": 0, "canceled": 0, "waste": 0}
    async for setback in _dead(kit, set(words) - {Word.SINK_ERROR}):
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
        steps += await _write_off(kit, setback, moves)
        moves["waiting"] += setback.count
        moves["canceled" if setback.word is Word.CANCELED else "dead"] -= setback.count
    if not steps:
        raise errors.RunRefused(
            f"run {kit.run[:16]} has no dead letters of {', '.join(sorted(words))} that could be asked again",
            hint=f"`batchflow report {kit.run[:16]}` lists its dead letters by word",
        )
    moves["retried"] = moves["waiting"]
    told = [f"{moves['waiting']} dead letters are asked again"] if moves["waiting"] else []
    told += [f"{brought} rows are brought again to the sinks that refused them"] if brought else []
    text = f"{', '.join(told)} ({', '.join(sorted(words))})"
    await kit.step_run(Reawakened(), Count(kit.run, moves), kit.event("run.retried", kit.run, text), *steps)
    return moves["waiting"] + brought


async def _write_off(kit: Kit, setback: Setback, moves: dict[str, int]) -> list[Step]:
    """Book answers that were paid for and are asked for anew as waste."""
    batch = await kit.batch(setback.batch)
    if setback.word not in BILLED or not batch.results:
        return []
    joiner = Joiner(kit, batch, batch.results)
    rows = frozenset(rows_of(setback.rows))
    async with kit.hold(await joiner.memory()):
        costs = [one.cost async for chunk in joiner.results(rows, ordered=False) for one in chunk]
    moves["waste"] += sum(costs)
    entry = Entry(
        id=f"{setback.id}/{setback.version}/waste",
        run=kit.run,
        batch=batch.id,
        kind="waste",
        paid=sum(costs),
        listed=0,
        rows=len(costs),
        input_tokens=0,
        output_tokens=0,
        at=kit.now(),
    )
    return [Note(entry)] if costs else []


async def _dead(kit: Kit, words: Collection[Word]) -> AsyncGenerator[Setback]:
    """List the dead letters that were once requests: what never became one has nothing that could be sent."""
    where = {"run": kit.run, "decision": Decision.DEAD, "word": tuple(words)}
    after = ""
    if not words:
        return
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
