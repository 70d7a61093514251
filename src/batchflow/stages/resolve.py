"""Resolve: find out what became of create calls whose reply was lost.

The calls of every run in the store are judged together, for they compete for the same unknown batches; but only this
run's batches are moved.
"""

from collections.abc import Mapping, Sequence

import msgspec

from batchflow.machine.backoff import backoff
from batchflow.machine.batch import Adopted, Doubted, GivenUp, Vanished, step
from batchflow.machine.claims import SLACK, WATCH, Adopt, Ask, GoneMissing, Verdict, Wait, candidates_of, judge
from batchflow.model.change import Count, Note, Put, Step
from batchflow.model.errors import NoListing
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Batch, BatchState, Intent, IntentState, Remote
from batchflow.stages.account import same_account
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit
from batchflow.stages.listing import list_until
from batchflow.stages.sight import disbelief

LOOK_AGAIN = 15.0


async def resolve(kit: Kit, evidence: Evidence) -> None:
    """Judge every open intent of the store against one listing; move the batches of this run."""
    doubted = {b.token: b for b in await kit.every(Batch, {"run": kit.run, "state": BatchState.IN_DOUBT})}
    if not doubted or await _by_fact(kit, doubted):
        return
    intents = [i for i in await kit.every(Intent, {"state": IntentState.OPEN}) if await _in_doubt(kit, i)]
    mine = [intent for intent in intents if intent.token in doubted]
    if len(mine) < len(doubted):
        await _without_intent(kit, [batch for token, batch in doubted.items() if token not in {i.token for i in mine}])
        return
    # Before the listing: what it shows is as old as the moment it began.
    grace = kit.parts.rules.submit.grace
    patient = {intent.token for intent in mine if evidence.looked(kit, intent.token) >= grace}
    try:
        unknown = await _unknown(kit, intents, evidence)
    except NoListing as error:
        for intent in mine:
            await _unseen(kit, doubted[intent.token], intent, error.message, evidence)
        return
    # After the listing, for it is from replies that a provider learns whose account it uses.
    if strangers := [intent for intent in mine if not same_account(intent.binding, kit.provider.binding())]:
        for intent in strangers:
            await _wrong_account(kit, doubted[intent.token], intent)
        return
    claimed = {remote.id: remote for i in intents for remote in candidates_of(i, unknown, evidence.tokens)}
    evidence.shown |= claimed
    await evidence.read(kit, claimed.values(), {intent.token for intent in intents})
    verdicts = judge(intents, unknown, evidence.tokens, now=kit.now(), patient=patient)
    for intent in mine:
        await _obey(kit, doubted[intent.token], intent, verdicts[intent.token], evidence)


async def _in_doubt(kit: Kit, intent: Intent) -> bool:
    """Leave out calls that are being made at this moment, here or in another process: their replies may yet come.

    A batch adopted by its count alone stays in: until its token is read, the batch it took may be somebody else's.
    """
    batch = await kit.store.get(Batch, intent.batch)
    return batch is not None and batch.state is not BatchState.SUBMITTING and not batch.proven


async def _wrong_account(kit: Kit, batch: Batch, intent: Intent) -> None:
    """Touch nothing: another account's listing says nothing about this batch."""
    why = (
        f"it was sent with another key (fingerprint {intent.binding.key} at {intent.binding.base_url}), so this key's "
        "listing cannot tell whether it exists. Nothing was sent again. Run it with the key it was sent with"
    )
    await _move(kit, batch, GivenUp(why=why), [])


async def _by_fact(kit: Kit, doubted: Mapping[str, Batch]) -> bool:
    """Look in our own books first: a reply that was noted before the crash settles it."""
    facts = {fact.token: fact for fact in await kit.every(Remote, {"token": list(doubted)})}
    for token, fact in facts.items():
        found = Adopted(wake_at=kit.now(), remote=fact.id, expires_at=None, proven=True)
        intents = await kit.store.find(Intent, {"token": token, "state": IntentState.OPEN})
        await _move(kit, doubted[token], found, [Put(_changed(i, state=IntentState.ACCEPTED)) for i in intents])
    return bool(facts)


async def _without_intent(kit: Kit, batches: Sequence[Batch]) -> None:
    """Hold what nothing is known about: its intent was settled otherwise, so it must not be sent again on our word."""
    for batch in batches:
        await _move(kit, batch, GivenUp(why="nothing is known any more about the call that sent it"), [])


async def _unknown(kit: Kit, intents: Sequence[Intent], evidence: Evidence) -> list[RemoteBatch]:
    """List the batches that no fact of ours names, and those that an earlier listing showed and this one leaves out."""
    since = min(intent.watermark for intent in intents) - SLACK
    listed = await list_until(kit, since)
    evidence.lists |= bool(listed)
    found = {remote.id: remote for remote in listed if remote.created_at >= since}
    for id in evidence.shown.keys() - found.keys() - evidence.tokens.keys():
        remote = await kit.provider.status(id)
        if remote is not None:
            found[id] = remote
    known = {fact.id for fact in await kit.store.find(Remote, {"id": list(found)}, limit=len(found) + 1)}
    return [remote for id, remote in found.items() if id not in known]


async def _obey(kit: Kit, batch: Batch, intent: Intent, verdict: Verdict, evidence: Evidence) -> None:
    match verdict:
        case Adopt(remote=remote, proven=proven):
            fact = Remote(id=remote.id, run=kit.run, batch=batch.id, token=intent.token, at=kit.now(), how="adopted")
            adopted = Adopted(wake_at=kit.now(), remote=remote.id, expires_at=remote.expires_at, proven=proven)
            # A claim by count alone becomes a fact only when its token is read, at collection.
            settled = [Put(_changed(intent, state=IntentState.ACCEPTED)), Note(fact)] if proven else []
            await _move(kit, batch, adopted, settled)
        case GoneMissing():
            if why := await disbelief(kit, intent.watermark - SLACK, evidence):
                await _unseen(kit, batch, intent, why, evidence, graces=2.0)
            else:
                await _gone(kit, batch, intent)
        case Ask(why=why):
            await _move(
                kit, batch, GivenUp(why=f"{why}. At most one batch of {batch.count} requests may have been paid"), []
            )
        case Wait(why=why, shown=shown):
            healthy = 0 if shown else intent.healthy + 1
            counted = [Put(_changed(intent, healthy=healthy))] if healthy != intent.healthy else []
            wake = kit.now() + min(LOOK_AGAIN, backoff(batch.tries))
            await _move(kit, batch, Doubted(wake_at=wake, why=why), counted)


async def _unseen(kit: Kit, batch: Batch, intent: Intent, why: str, evidence: Evidence, *, graces: float = 1.0) -> None:
    """Wait for a listing that can be believed, for so many graces; then only a person can tell, and nothing is sent again."""
    if evidence.looked(kit, intent.token) < graces * kit.parts.rules.submit.grace:
        wake = kit.now() + min(LOOK_AGAIN, backoff(batch.tries))
        await _move(kit, batch, Doubted(wake_at=wake, why=why), [])
        return
    blind = (
        f"{why}. So nobody can tell from here whether this batch was created, and it was not sent again: at most one "
        f"batch of {batch.count} requests may have been paid. Ask whoever runs {intent.binding.base_url} for a batch "
        f"whose custom_ids begin with {intent.token}"
    )
    await _move(kit, batch, GivenUp(why=blind), [])


async def _gone(kit: Kit, batch: Batch, intent: Intent) -> None:
    """Make it payable again, or leave that to a person; either way keep looking out for it.

    A run that is being canceled sends nothing again, so there is nothing to leave to anybody.
    """
    absent = _changed(intent, state=IntentState.ABSENT, watch_until=kit.now() + WATCH)
    if kit.parts.rules.submit.on_absent == "hold" and not (await kit.current()).cancel:
        why = "it is not in the listing, so most likely it was never created; `on_absent: hold` leaves sending it again to you"
        await _move(kit, batch, GivenUp(why=why), [])
        return
    await _move(kit, batch, Vanished(wake_at=kit.now()), [Put(absent)])


async def _move(kit: Kit, batch: Batch, event: Adopted | Doubted | GivenUp | Vanished, more: Sequence[Step]) -> None:
    stepped = step(batch, event)
    told = [] if isinstance(event, Doubted) else [_tell(kit, stepped.batch)]
    await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books), *more, *told)


def _tell(kit: Kit, batch: Batch) -> Note:
    texts = {
        BatchState.RUNNING: f"found as {batch.remote}; nothing was paid twice",
        BatchState.DRAFTED: "it is not in the listing, so most likely it was never created: its rows may go again, and it is watched",
        BatchState.HELD: batch.why,
    }
    return kit.event(f"batch.resolved.{batch.state}", batch.id, texts[batch.state])


def _changed(intent: Intent, **changes: object) -> Intent:
    return msgspec.structs.replace(intent, version=intent.version + 1, **changes)
