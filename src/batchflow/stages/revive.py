"""Revive: dead letters of a finished run are asked once more, because somebody said so; those of a sink are brought to it.

Their requests are sent as they were; only rows that were cut off get the larger cap that the policy has for them, since
the same cap would buy the same cut answer.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Collection
from contextlib import suppress

import msgspec

from batchflow.machine.bitmap import rows_of
from batchflow.machine.ruling import at_most
from batchflow.machine.run import OPEN, Reawakened
from batchflow.model import errors
from batchflow.model.change import Count, Note, Put, Step
from batchflow.model.state import Batch, BatchState, Decision, Entry, Intent, IntentState, Setback
from batchflow.model.words import BILLED, Word
from batchflow.ports.retry import Failure, Retry
from batchflow.stages.evidence import Evidence
from batchflow.stages.join import Joiner
from batchflow.stages.kit import Kit
from batchflow.stages.objects import read_footer
from batchflow.stages.redeliver import redeliver
from batchflow.stages.reject import LANE
from batchflow.stages.renew import heir_of, is_ruled, letters_of, renew
from batchflow.stages.repack import RESTART
from batchflow.stages.twins import look_out


async def revive(kit: Kit, words: Collection[Word]) -> int:
    """Make the dead letters of these words wait for another try, and wake the run; say how many there are."""
    with suppress(errors.NoListing):
        await look_out(kit, Evidence())  # what turns up now is taken, and need not be asked again
    if Word.CANCELED in words:
        await _refuse_what_may_be_paid(kit)
    brought, steps = await redeliver(kit) if Word.SINK_ERROR in words else (0, [])
    moves = Counter[str]()
    renewed = set[str]()
    async for setback in _dead(kit, set(words) - {Word.SINK_ERROR}):
        await _refuse_without_requests(kit, setback.batch)
        if setback.batch in renewed:
            continue
        if again := await _renewed(kit, setback.batch, words, moves):
            renewed.add(setback.batch)
            steps += again
            continue
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
        moves["retried"] += setback.count
        moves["waiting"] += setback.count
        moves["canceled" if setback.word is Word.CANCELED else "dead"] -= setback.count
    if not steps:
        return await _nothing(kit, words)
    told = [f"{moves['retried']} dead letters are asked again"] if moves["retried"] else []
    told += [f"{brought} rows are brought again to the sinks that refused them"] if brought else []
    text = f"{', '.join(told)} ({', '.join(sorted(words))})"
    await kit.step_run(Reawakened(), Count(kit.run, dict(moves)), kit.event("run.retried", kit.run, text), *steps)
    return moves["retried"] + brought


async def _nothing(kit: Kit, words: Collection[Word]) -> int:
    """Go on with a run whose dead letters turned up answered; refuse where there never were any."""
    if (await kit.current()).state in OPEN:
        return 0
    raise errors.RunRefused(
        f"run {kit.run[:16]} has no dead letters of {', '.join(sorted(words))} that could be asked again",
        hint=f"`batchflow report {kit.run[:16]}` lists its dead letters by word",
    )


async def _renewed(kit: Kit, id: str, words: Collection[Word], moves: Counter[str]) -> list[Step]:
    """Give the steps that draft an unanswered batch anew where a call of it may have made one after all.

    Its rows stay together and its calls go along: should one turn up, it is found before anything is sent, and joined after.
    """
    batch = await kit.batch(id)
    letters = await letters_of(kit, batch)
    calls = await kit.store.find(Intent, {"batch": id, "state": IntentState.ABSENT}, limit=1)
    if not calls or not letters or any(one.word not in words for one in letters):
        return []
    moves["retried"] += batch.count
    heir = heir_of(kit, batch)
    drafted = kit.event("batch.drafted", heir.id, f"{heir.count} requests asked again", {"count": heir.count})
    return [*await renew(kit, batch, heir, letters), Put(msgspec.structs.replace(heir, version=1)), drafted]


async def _refuse_what_may_be_paid(kit: Kit) -> None:
    """Keep `on_absent: hold` where a run was canceled before anybody had decided: what a lost call made may turn up yet."""
    if kit.parts.rules.submit.on_absent != "hold":
        return
    for call in await kit.every(Intent, {"run": kit.run, "state": IntentState.ABSENT}):
        batch = await kit.batch(call.batch)
        if batch.state is not BatchState.CANCELED or not await letters_of(kit, batch) or await is_ruled(kit, call):
            continue
        left = ((call.watch_until or 0.0) - kit.now()) / 3600
        watched = f"it is watched for another {left:.0f} hours" if left > 0 else "it is not watched any more"
        raise errors.RunRefused(
            f"nobody knows whether a call for batch {batch.id} made one: it is not in the listing, and the run was canceled "
            f"before that was settled. Asking its {batch.count:,} rows again may pay for them twice, {at_most(batch)}, and the "
            "job says `on_absent: hold`",
            hint=f"look in the Console for a batch whose custom_ids begin with {call.token} (`batchflow reconcile {kit.run[:16]}` "
            f"looks in the listing); {watched}. Where there is none, `batchflow reconcile {kit.run[:16]} --absent {batch.id}` "
            "says so, and this command can be typed again",
        )


async def _refuse_without_requests(kit: Kit, id: str) -> None:
    """Find out before anything is changed whether there is anything to send."""
    batch = await kit.batch(id)
    if batch.requests is not None:
        await read_footer(kit.blobs, batch.requests)


async def _write_off(kit: Kit, setback: Setback, moves: Counter[str]) -> list[Step]:
    """Book answers that were paid for and are asked for anew as waste."""
    batch = await kit.batch(setback.batch)
    if setback.word not in BILLED or not batch.results:
        return []
    joiner = Joiner(kit, batch, batch.results)
    rows = frozenset(rows_of(setback.rows))
    async with kit.hold(await joiner.memory()) as held:
        costs = [one.cost async for chunk in joiner.results(rows, room=held) for one in chunk]
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
