"""Collect: fetch the results, check that every row came back, decide each row's fate, and book the money."""

from collections.abc import Sequence
from functools import partial

import msgspec

from batchflow.machine.backoff import backoff
from batchflow.machine.batch import Collected, Deferred, Disowned, GivenUp, step
from batchflow.model import errors
from batchflow.model.blob import Blob
from batchflow.model.change import Count, Note, Put, Step
from batchflow.model.result import Result
from batchflow.model.state import Batch, BatchState, Decision, Entry, Intent, IntentState, Remote
from batchflow.model.words import Word
from batchflow.stages.deliver import settle
from batchflow.stages.download import MEMORY, download, remotes_of
from batchflow.stages.evidence import Evidence
from batchflow.stages.harvest import Harvest
from batchflow.stages.join import Joiner
from batchflow.stages.kit import Kit
from batchflow.stages.mend import no_context
from batchflow.stages.route import deliveries
from batchflow.stages.twins import meet
from batchflow.stages.verdicts import Verdicts

DOWNLOADS = 10
"""Tries before a person is asked about results that stay away, short or unreadable: five minutes, with the waits between."""


async def collect(kit: Kit, id: str, evidence: Evidence) -> None:
    """Bring one ended batch home."""
    batch = await kit.batch(id)
    if batch.state is not BatchState.ENDED:
        return
    intents = await kit.store.find(Intent, {"batch": id})
    # One that was taken by its count alone may be what an earlier call made: then that call's token proves nothing for this one.
    tokens = {batch.token} | {i.token for i in intents if batch.proven or i.state is IntentState.ACCEPTED}
    remotes = await remotes_of(kit, batch)
    if await _stop_twins(kit, remotes[1:]):
        await _defer(kit, batch, "waits for its twin, which was created after all")
        return
    harvest = Harvest(batch.count, tokens, kit.prices, batch.reserved)
    try:
        async with kit.hold(MEMORY):
            parts = await download(kit, batch, remotes, harvest)
    except errors.BadReply as error:
        await _again(kit, batch, error.message, 0.0)
        return
    except errors.Refused as error:
        await _withheld(kit, batch, error)
        return
    if harvest.theirs and not batch.proven:
        evidence.tokens[batch.remote] = harvest.stranger
        await _return(kit, batch, harvest.stranger, intents)
        return
    if complaint := await _complaint(kit, batch, harvest):
        await _again(kit, batch, complaint, 0.0)
        return
    try:
        await _book(kit, batch, intents, harvest, parts)
    except errors.ObjectDamaged as error:
        await _damaged(kit, batch, error)


async def _stop_twins(kit: Kit, remotes: Sequence[str]) -> bool:
    """Cancel twins that are still at work, since their answers are paid for and not needed; tell whether there are any."""
    working = False
    for remote in remotes:
        twin = await kit.provider.status(remote)
        if twin is not None and not twin.ended:
            working = True
            await kit.provider.cancel(remote)
    return working


async def _complaint(kit: Kit, batch: Batch, harvest: Harvest) -> str:
    """Say what is wrong with the results as a whole; empty when every row is accounted for."""
    if harvest.malformed:
        return f"{harvest.malformed} result lines cannot be read"
    if not harvest.missing:
        return ""
    if not batch.proven and not any(harvest.words):
        return "no line tells whose batch it is"
    remote = await kit.provider.status(batch.remote)
    if remote is not None and remote.count == batch.count and harvest.succeeded >= remote.succeeded:
        return ""
    told = f"; the provider says {remote.succeeded} succeeded" if remote is not None else ""
    return f"{harvest.missing} of {batch.count} rows have no result line{told}"


async def _defer(kit: Kit, batch: Batch, why: str) -> None:
    stepped = step(batch, Deferred(wake_at=kit.now() + backoff(batch.tries), why=why))
    await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books))


async def _again(kit: Kit, batch: Batch, why: str, after: float) -> None:
    """Come back later, or ask a person when that has not helped."""
    if batch.tries >= DOWNLOADS:
        text = f"{why}, after {batch.tries} downloads. What was answered is paid for, and stays with the provider for 29 days"
        stepped = step(batch, GivenUp(why=text))
    else:
        stepped = step(batch, Deferred(wake_at=kit.now() + max(after, backoff(batch.tries)), why=why))
    note = kit.event("batch.results_unusable", batch.id, stepped.batch.why)
    await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books), note)


async def _withheld(kit: Kit, batch: Batch, error: errors.Refused) -> None:
    """Sort a definite no to a download: gone for good, not there yet, or a matter of the account, which the driver sorts."""
    if error.word is Word.ARCHIVED:
        why = "its results are gone: the provider keeps them for 29 days. What was answered in it was paid for"
        stepped = step(batch, GivenUp(why=why))
        await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books), kit.event("batch.archived", batch.id, why))
    elif error.word is Word.MISSING:
        await _again(kit, batch, error.message, error.retry_after or 0.0)
    else:
        raise error


async def _damaged(kit: Kit, batch: Batch, error: errors.ObjectDamaged) -> None:
    """Sort damage that came to light while the answers were judged: what was just fetched can be fetched again."""
    if why := await no_context(kit, batch):
        text = f"{why} What was answered is paid for, and stays with the provider for 29 days"
        stepped = step(batch, GivenUp(why=text))
        await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books), kit.event("batch.held", batch.id, text))
        return
    await _again(kit, batch, error.message, 0.0)


async def _return(kit: Kit, batch: Batch, stranger: str, intents: Sequence[Intent]) -> None:
    """Return a batch to whom it belongs: an earlier call of the same rows, or somebody else."""
    earlier = next((intent for intent in intents if intent.token == stranger), None)
    remote = await kit.provider.status(batch.remote) if earlier is not None else None
    if earlier is not None and remote is not None:
        await meet(kit, earlier, remote)
    else:
        await _disown(kit, batch, stranger)


async def _disown(kit: Kit, batch: Batch, stranger: str) -> None:
    """Give back a batch that was taken by its count: its results carry somebody else's token."""
    stepped = step(
        batch, Disowned(wake_at=kit.now(), why=f"{batch.remote} carries the token {stranger!r}, which is not ours")
    )
    note = kit.event("batch.disowned", batch.id, stepped.batch.why)
    await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books), note)


async def _book(kit: Kit, batch: Batch, intents: Sequence[Intent], harvest: Harvest, parts: list[Blob]) -> None:
    """Decide the fates and commit everything at once: state, books, ledger, setbacks, deliveries."""
    verdicts = await _judge(kit, batch, harvest, parts)
    dead = verdicts.count(Decision.DEAD)
    canceled = verdicts.count(Decision.DEAD, canceled=True)
    again = verdicts.count(Decision.AGAIN) + verdicts.count(Decision.AGAIN, canceled=True)
    good = batch.count - dead - canceled - again
    books = await kit.store.books(kit.run)
    event = Collected(
        results=tuple(parts),
        sequence=books["batches"] + 1,
        good=good,
        dead=dead,
        again=again,
        canceled=canceled,
    )
    stepped = step(batch, event)
    money = harvest.total()
    twice = harvest.extra.paid
    counts = {
        "batches": 1,
        "paid": money.paid,
        "listed": money.listed,
        "waste": verdicts.wasted + twice,
        "twice": twice,
        "input_tokens": money.input_tokens,
        "output_tokens": money.output_tokens,
        "retried": again,
    }
    await kit.commit(
        Put(stepped.batch),
        Count(kit.run, stepped.books),
        Count(kit.run, counts),
        *_ledger(kit, batch, harvest, verdicts.wasted),
        *_proof(kit, batch, intents),
        *(Put(setback) for setback in verdicts.setbacks(batch)),
        *deliveries(kit, stepped.batch, good=good, dead=dead + canceled),
        kit.event(
            "batch.collected",
            batch.id,
            _told(good, verdicts, dead + canceled),
            {"good": good, "again": again, "dead": dead + canceled},
        ),
        *_remarks(kit, batch, harvest),
    )
    await settle(kit, batch.id)
    if verdicts.pause is not None:
        word, why = verdicts.pause
        await kit.pause(why, word)


async def _judge(kit: Kit, batch: Batch, harvest: Harvest, parts: Sequence[Blob]) -> Verdicts:
    """Look at rows that are not good, and at every row when the job checks answers."""
    verdicts = Verdicts(kit)
    not_ok = harvest.rows_not_ok()
    if not not_ok and not kit.parts.checks:
        return verdicts
    joiner = Joiner(kit, batch, parts)
    async with kit.hold(await joiner.memory()) as held:
        async for chunk in joiner.results(None if kit.parts.checks else frozenset(not_ok), room=held):
            await _take(kit, verdicts, chunk)
        bare = {row: (Word.MISSING, "no result line came back") for row in not_ok if not harvest.words[row]}
        async for chunk in joiner.bare(bare):
            await _take(kit, verdicts, chunk)
    return verdicts


async def _take(kit: Kit, verdicts: Verdicts, results: Sequence[Result]) -> None:
    """Judge a chunk, where checks or a policy of others may take their time without holding anybody up."""
    parts, judge = kit.parts, partial(verdicts.take, results)
    if results:
        await parts.aside((*parts.checks, parts.retry), f"on the answers from {results[0].key!r} on", judge)


def _ledger(kit: Kit, batch: Batch, harvest: Harvest, waste: int) -> list[Step]:
    money = harvest.total()
    entry = Entry(
        id=f"{batch.id}/settle",
        run=kit.run,
        batch=batch.id,
        kind="settle",
        paid=money.paid,
        listed=money.listed,
        rows=money.rows,
        input_tokens=money.input_tokens,
        output_tokens=money.output_tokens,
        at=kit.now(),
    )
    lost = msgspec.structs.replace(entry, id=f"{batch.id}/waste", kind="waste", paid=waste, listed=0)
    again = msgspec.structs.replace(lost, id=f"{batch.id}/twice", kind="twice", paid=harvest.extra.paid)
    return [Note(entry), *(Note(one) for one in (lost, again) if one.paid)]


def _proof(kit: Kit, batch: Batch, intents: Sequence[Intent]) -> list[Step]:
    """Turn a claim by count into a fact: its token has now been read."""
    open_intent = next((i for i in intents if i.token == batch.token and i.state is IntentState.OPEN), None)
    if open_intent is None:
        return []
    accepted = msgspec.structs.replace(open_intent, version=open_intent.version + 1, state=IntentState.ACCEPTED)
    fact = Remote(id=batch.remote, run=kit.run, batch=batch.id, token=batch.token, at=kit.now(), how="adopted")
    return [Put(accepted), Note(fact)]


def _told(good: int, verdicts: Verdicts, dead: int) -> str:
    waits = verdicts.waits()
    soon = f" in {min(waits):.0f} s" if waits and min(waits) else ""
    return f"{good} good, {len(waits)} to be asked again{soon}, {dead} dead"


def _remarks(kit: Kit, batch: Batch, harvest: Harvest) -> list[Step]:
    remarks: list[Step] = []
    if harvest.foreign or harvest.repeated:
        text = f"{harvest.foreign} foreign and {harvest.repeated} repeated result lines were set aside"
        remarks.append(kit.event("batch.odd_lines", batch.id, text))
    if models := harvest.money.unpriced:
        named = ", ".join(f"`{model}`" if model else "answers that name no model" for model in sorted(models))
        booked = "as the most that was reserved for them" if batch.reserved else "as $0"
        remarks.append(kit.event("batch.unpriced", batch.id, f"no price is known for {named}: booked {booked}"))
    return remarks
