"""Rule: do what an operator says of batches in doubt, then look once more at all that is left.

What may be done is decided in `machine.ruling`; here the provider is asked what must be known for it, and the decision is
committed together with an event that says who decided, and what it costs if it was wrong.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from batchflow.machine import ruling
from batchflow.machine.batch import WrittenOff, step
from batchflow.machine.claims import WATCH, candidates_of
from batchflow.machine.ruling import Absent, Adopt, Claim, Denied, GiveUp, Granted, Ruling, Sighting
from batchflow.model import errors
from batchflow.model.change import Count, Note, Put, Step
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Batch, BatchState, Intent, IntentState, Remote, Wish
from batchflow.stages.account import same_account, sees
from batchflow.stages.evidence import Evidence
from batchflow.stages.fail import rejected_rows
from batchflow.stages.kit import Kit
from batchflow.stages.renew import TOKENS
from batchflow.stages.reopen import look_again
from batchflow.stages.resolve import resolve
from batchflow.stages.twins import look_out, meet

VERB = "reconcile"
"""The verb of a wish that carries rulings."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one ruling."""

    batch: str
    done: bool
    text: str
    hint: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all of them, and what the listing shows for the batches that are still in doubt."""

    said: tuple[Said, ...] = ()
    candidates: Mapping[str, tuple[RemoteBatch, ...]] = {}
    blind: str = ""
    """Why the listing could not be read, if it could not."""


async def rule(kit: Kit, rulings: Sequence[Ruling], evidence: Evidence) -> Answer:
    """Obey, look, and say what is known then."""
    said = [await _obey(kit, one, evidence) for one in rulings]
    blind = await _look(kit, evidence)
    return Answer(said=tuple(said), candidates=await _candidates(kit, evidence), blind=blind)


async def answer(kit: Kit, wish: Wish, evidence: Evidence) -> None:
    """Do what a wish from another process says, and write the answer where that process waits for it."""
    taken = msgspec.structs.replace(wish, version=wish.version + 1, data={**wish.data, "taken": True})
    await kit.commit(Put(taken))
    said = await rule(kit, msgspec.convert(wish.data["rulings"], list[Ruling]), evidence)
    data = {**taken.data, "answer": msgspec.to_builtins(said)}
    await kit.commit(Put(msgspec.structs.replace(taken, version=taken.version + 1, data=data, done_at=kit.now())))


async def _obey(kit: Kit, word: Ruling, evidence: Evidence) -> Said:
    subject = word.remote if isinstance(word, Claim) else word.batch
    try:
        verdict = await _judged(kit, word, evidence)
    except errors.Stale:
        return Said(batch=subject, done=False, text="it was changed at the same moment", hint="say it again")
    except errors.ProviderError as error:
        return Said(batch=subject, done=False, text=f"nothing was changed: {error.message}", hint=error.hint)
    if isinstance(verdict, Denied):
        return Said(batch=subject, done=False, text=verdict.why, hint=verdict.hint)
    return Said(batch=subject, done=True, text=verdict)


async def _judged(kit: Kit, word: Ruling, evidence: Evidence) -> str | Denied:
    if isinstance(word, Claim):
        return await _claim(kit, word, evidence)
    batch = await kit.batch(word.batch)
    own = await _fact(kit, {"token": word.token, "batch": batch.id})
    match word:
        case Absent() if batch.state is BatchState.CANCELED:
            return await _absent_after_all(kit, batch, evidence)
        case Absent():
            intent = await kit.store.get(Intent, word.token)
            if intent is not None and not await sees(kit, intent):
                return ruling.another_account(intent)
            verdict = ruling.absent(batch, word.token, own, now=kit.now())
            if isinstance(verdict, Granted):
                await _look(kit, evidence)  # what the listing shows at this moment is better than what it showed then
                batch = await kit.batch(word.batch)
                verdict = ruling.absent(batch, word.token, own, now=kit.now())
        case GiveUp():
            verdict = ruling.give_up(batch, word.token, own)
        case Adopt():
            intent = await kit.store.get(Intent, word.token)
            seen = await _sight(kit, word.remote, evidence, {word.token})
            verdict = ruling.adopt(batch, intent, word.token, seen, own, now=kit.now())
    return await _grant(kit, batch, verdict, evidence) if isinstance(verdict, Granted) else verdict


async def _absent_after_all(kit: Kit, batch: Batch, evidence: Evidence) -> str | Denied:
    """Take the word about a batch whose run was canceled before its fate was known: its rows may be asked again then."""
    blind = await _look(kit, evidence)
    calls = await kit.store.find(Intent, {"batch": batch.id, "state": IntentState.ABSENT})
    for call in calls:
        if not await sees(kit, call):
            return ruling.another_account(call)
    verdict = ruling.absent_of_canceled(batch, calls, blind)
    if isinstance(verdict, Denied):
        return verdict
    watched = [
        Put(msgspec.structs.replace(call, version=call.version + 1, watch_until=kit.now() + WATCH)) for call in calls
    ]
    await kit.commit(*watched, _told_by_person(kit, batch, verdict, [call.token for call in calls]))
    return verdict


def _told_by_person(kit: Kit, batch: Batch, says: str, tokens: Sequence[str]) -> Note:
    return kit.event(f"batch.ruled.{batch.state}", batch.id, says, {TOKENS: list(tokens)})


async def _claim(kit: Kit, word: Claim, evidence: Evidence) -> str | Denied:
    """Find out whose a remote batch is, by its token among the calls of the whole store."""
    intents = {intent.token: intent for intent in await kit.every(Intent, {})}
    seen = await _sight(kit, word.remote, evidence, intents.keys())
    intent = intents.get(seen.token or "")
    if intent is not None and intent.run != kit.run:
        there = f"`batchflow reconcile {intent.run} --batch-id {word.remote}`"
        return Denied(f"{word.remote} belongs to run {intent.run}", there)
    batch = await kit.batch(intent.batch) if intent is not None else None
    verdict = ruling.claim(seen, intent, batch, now=kit.now())
    if isinstance(verdict, Denied):
        return verdict
    assert batch is not None
    if isinstance(verdict, Granted):
        return await _grant(kit, batch, verdict, evidence)
    assert intent is not None
    assert seen.remote is not None
    await meet(kit, intent, seen.remote)
    return await _met(kit, batch, intent, word.remote)


async def _met(kit: Kit, before: Batch, call: Intent, remote: str) -> str:
    """Say what became of a batch that turned up after its call was thought to have made nothing."""
    now = await kit.store.get(Intent, call.token)
    after = await kit.batch((now or call).batch)
    ours = f"{remote} carries a token of batch {before.id}"
    if after.id != before.id:
        return (
            f"{ours}, whose rows had been given up ({before.state}): its answers are taken, and nothing is paid twice"
        )
    if after.remote == remote:
        return f"{ours}, whose rows were not sent again yet: it is adopted, and nothing is paid twice"
    if after.state in {BatchState.RUNNING, BatchState.CANCELING, BatchState.ENDED}:
        return f"{ours}, whose rows were sent again: both are collected, the first answer of each row wins, the rest is waste"
    return f"{ours}, which was settled without it ({after.state}): what it cost is booked as waste"


async def _sight(kit: Kit, id: str, evidence: Evidence, ours: Collection[str]) -> Sighting:
    """Learn what there is to know of a remote batch."""
    remote = await kit.provider.status(id)
    if remote is not None:
        await evidence.read(kit, [remote], ours)
    return Sighting(id, remote, evidence.tokens.get(id), await _fact(kit, {"id": id}))


async def _fact(kit: Kit, where: Mapping[str, str]) -> Remote | None:
    facts = await kit.store.find(Remote, where, limit=1)
    return facts[0] if facts else None


async def _grant(kit: Kit, batch: Batch, granted: Granted, evidence: Evidence) -> str:
    """Commit a decision: state, books, the call's own fate, and who decided."""
    stepped = step(batch, granted.event)
    more: list[Step] = []
    if isinstance(granted.event, WrittenOff):
        more += rejected_rows(kit, stepped.batch, granted.event.blanket, granted.event.why)
    if granted.intent is IntentState.ACCEPTED:
        fact = Remote(
            id=stepped.batch.remote, run=kit.run, batch=batch.id, token=batch.token, at=kit.now(), how="adopted"
        )
        more.append(Note(fact))
    await kit.commit(
        Put(stepped.batch),
        Count(kit.run, stepped.books),
        *await _settled(kit, batch, granted.intent, evidence),
        *more,
        _told_by_person(kit, stepped.batch, granted.says, [batch.token]),
    )
    return granted.says


async def _settled(kit: Kit, batch: Batch, state: IntentState | None, evidence: Evidence) -> list[Step]:
    """Settle the call; one that is said to have made nothing is looked out for all the same.

    What the listing has shown by then was ruled out with that word; what it shows later was not.
    """
    if state is None:
        return []
    until = kit.now() + WATCH if state is IntentState.ABSENT else None
    intents = await kit.store.find(Intent, {"token": batch.token, "state": IntentState.OPEN})
    shown = tuple(evidence.shown) if state is IntentState.ABSENT else ()
    return [
        Put(
            msgspec.structs.replace(intent, version=intent.version + 1, state=state, watch_until=until, overruled=shown)
        )
        for intent in intents
    ]


async def _look(kit: Kit, evidence: Evidence) -> str:
    """Look at what is in doubt until a look changes nothing more; say why, if nothing could be seen."""
    await look_again(kit)
    doubted = await _doubted(kit)
    while doubted:
        try:
            await resolve(kit, evidence)
        except errors.ProviderError as error:
            return error.message
        before, doubted = doubted, await _doubted(kit)
        if doubted == before:
            break
    try:
        await look_out(kit, evidence)
    except errors.NoListing:
        return ""  # what is watched cannot be seen here, and that is known
    except errors.ProviderError as error:
        return error.message
    return ""


async def _doubted(kit: Kit) -> set[str]:
    return {batch.id for batch in await kit.every(Batch, {"run": kit.run, "state": BatchState.IN_DOUBT})}


async def _candidates(kit: Kit, evidence: Evidence) -> dict[str, tuple[RemoteBatch, ...]]:
    """Say which of the batches that were seen could be which of those still in doubt; nothing of those of another account."""
    known = {
        fact.id for fact in await kit.store.find(Remote, {"id": list(evidence.shown)}, limit=len(evidence.shown) + 1)
    }
    unknown = [remote for id, remote in evidence.shown.items() if id not in known]
    found: dict[str, tuple[RemoteBatch, ...]] = {}
    for batch in await kit.every(Batch, {"run": kit.run, "state": list(ruling.DOUBTFUL)}):
        intent = await kit.store.get(Intent, batch.token)
        if (
            intent is not None
            and intent.state is IntentState.OPEN
            and same_account(intent.binding, kit.provider.binding())
        ):
            found[batch.id] = tuple(candidates_of(intent, unknown, evidence.tokens))
    return found
