"""What an operator may say of a batch whose fate is unknown, and what comes of saying it.

The machine waits for proof; a person may know more: that the server was down, that the console shows no such batch, that
this one is it. Their word moves a batch where proof would have moved it, with three limits:

- a word is about *one call*, named by its token: said of a batch that has been sent again since, it does nothing;
- what is known is not overruled: nobody talks away a batch that was answered to us, or takes one that carries another token;
- a word says what it costs if it is wrong, and that is written down with it.

`Absent` may be paid for twice, `GivenUp` may have been paid for in vain; `Adopt` and `Claim` cost nothing, since a token is
read before anything is delivered.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from batchflow.machine.batch import Adopted, AnyEvent, Vanished, WrittenOff
from batchflow.machine.claims import SLACK, UNKNOWN, believed
from batchflow.model.money import dollars
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Batch, BatchState, Intent, IntentState, Remote
from batchflow.model.words import Word

S = BatchState
DOUBTFUL = (S.IN_DOUBT, S.HELD)
"""States in which a person may rule."""


class Absent(msgspec.Struct, frozen=True, tag="absent"):
    """No batch was created by this call: send its rows again."""

    batch: str
    token: str


class Adopt(msgspec.Struct, frozen=True, tag="adopt"):
    """The call created this batch of the provider's."""

    batch: str
    token: str
    remote: str


class GiveUp(msgspec.Struct, frozen=True, tag="give_up"):
    """Wait no longer: neither send it again nor look for it; its rows become dead letters."""

    batch: str
    token: str


class Claim(msgspec.Struct, frozen=True, tag="claim"):
    """Somebody else's program, or our own long ago, created this batch: find out by its token whose it is."""

    remote: str


Ruling: TypeAlias = Absent | Adopt | GiveUp | Claim


class Sighting(msgspec.Struct, frozen=True):
    """What is known of a remote batch: as its provider shows it, the token in its results, and our own fact of it."""

    id: str
    remote: RemoteBatch | None
    token: str | None = None
    fact: Remote | None = None


class Denied(msgspec.Struct, frozen=True):
    """Nothing is changed, and why."""

    why: str
    hint: str = ""


class Granted(msgspec.Struct, frozen=True):
    """The batch takes this arrow; its call is settled so, where that is known now."""

    event: AnyEvent
    says: str
    intent: IntentState | None = None


class Late(msgspec.Struct, frozen=True):
    """It is ours, of a call that was thought to have made nothing."""


def absent(batch: Batch, token: str, fact: Remote | None, *, now: float) -> Granted | Denied:
    """Judge the word that a call created nothing."""
    if denied := _not_in_doubt(batch, token) or _exists(batch, fact):
        return denied
    says = (
        f"an operator says that it was never created, so its {batch.count} requests are sent again. Should it exist after "
        f"all, {at_most(batch)} is paid twice; it is watched for 48 hours, and what it cost is booked as waste"
    )
    return Granted(Vanished(wake_at=now), says, IntentState.ABSENT)


def absent_of_canceled(batch: Batch, calls: Sequence[Intent], blind: str) -> str | Denied:
    """Judge the same word about a batch that was canceled while nobody knew whether its `calls` had made one."""
    if not calls:
        return Denied(
            f"batch {batch.id} is {batch.state}, and no call of it is in doubt, so there is nothing to rule on"
        )
    if blind:
        return Denied(f"nothing was changed: {blind}", "say it again when the listing can be looked at")
    return (
        f"an operator says that it was never created, so `batchflow retry --only canceled` may ask its {batch.count} requests "
        f"again. Should it exist after all, {at_most(batch)} is paid twice; it is watched for 48 hours from now"
    )


def another_account(intent: Intent) -> Denied:
    """Deny that a call made nothing to whoever cannot see what it made."""
    return Denied(
        f"its call went to {intent.binding.base_url} under another key (fingerprint {intent.binding.key}), and what is there "
        "cannot be seen with this one: sent again, its rows could be paid for twice",
        "say it with the key that the call was made with, or another of the same workspace",
    )


def give_up(batch: Batch, token: str, fact: Remote | None) -> Granted | Denied:
    """Judge the word that nobody should wait any longer."""
    if denied := _not_in_doubt(batch, token):
        return denied
    word = Word.ARCHIVED if fact is not None or batch.proven else Word.MISSING
    paid = "was paid for" if word is Word.ARCHIVED else "may have been paid for"
    says = (
        f"an operator gave it up: its {batch.count} requests are dead letters ({word}), {at_most(batch)} {paid} in vain, "
        f"and nothing is sent again; `batchflow retry --only {word}` asks them again"
    )
    return Granted(WrittenOff(blanket=word, why=says), says, IntentState.ABSENT)


def adopt(
    batch: Batch, intent: Intent | None, token: str, seen: Sighting, own: Remote | None, *, now: float
) -> Granted | Denied:
    """Judge the word that a remote batch is what a call created; `own` is what we know already of that call."""
    if denied := _not_in_doubt(batch, token) or _known_otherwise(seen, own) or _taken(seen, batch) or _not_there(seen):
        return denied
    assert seen.remote is not None
    if seen.token is not None and seen.token != token:
        return Denied(
            f"{seen.id} carries the token `{seen.token}` and this call was `{token}`, so it is not this batch"
        )
    if believed(seen.remote) not in {batch.count, UNKNOWN}:
        return Denied(
            f"{seen.id} holds {seen.remote.count} requests and this batch {batch.count}, so it is not this one"
        )
    proven = seen.token is not None
    if not proven and intent is not None and seen.remote.created_at < intent.watermark - SLACK:
        return Denied(f"{seen.id} was created long before this call was made, so it is not this batch")
    return Granted(
        Adopted(wake_at=now, remote=seen.id, expires_at=seen.remote.expires_at, proven=proven),
        _adopted(seen.id, proven=proven),
        IntentState.ACCEPTED if proven else None,
    )


def claim(seen: Sighting, intent: Intent | None, batch: Batch | None, *, now: float) -> Granted | Late | Denied:
    """Judge a remote batch by its token: `intent` is the call that bore it, if any of ours did, and `batch` what it sent."""
    if seen.fact is not None:
        return Denied(f"{seen.id} is known already: it is batch {seen.fact.batch}")
    if denied := _not_there(seen):
        return denied
    if seen.token is None:
        hint = "where you know which batch it is, say `--adopt BATCH=ID`: its token is read when it has ended"
        return Denied(f"{seen.id} shows no custom_id yet, so nobody can tell whose it is", hint)
    if intent is None or batch is None:
        return Denied(
            f"the custom_ids of {seen.id} begin with `{seen.token}`, and no call that this state folder knows of was made "
            "under that token: it is not ours, and it was not touched"
        )
    if batch.state is S.SUBMITTING:
        return Denied("its rows are being sent at this moment", "say it again when that call has been answered")
    if batch.state not in DOUBTFUL or batch.token != intent.token:
        return Late()
    expires_at = seen.remote.expires_at if seen.remote else None
    event = Adopted(wake_at=now, remote=seen.id, expires_at=expires_at, proven=True)
    return Granted(event, _adopted(seen.id, proven=True), IntentState.ACCEPTED)


def at_most(batch: Batch) -> str:
    """Say what a batch may cost."""
    return f"at most {dollars(batch.reserved)}" if batch.reserved else "an amount that no price is known for"


def _adopted(id: str, *, proven: bool) -> str:
    if proven:
        return f"{id} carries its token: it is ours. It is collected when the run goes on, and nothing is paid twice"
    return (
        f"an operator says that it is {id}. Its token is read when it has ended: should it be somebody else's, it is given "
        "back untouched, and the search goes on"
    )


def _not_in_doubt(batch: Batch, token: str) -> Denied | None:
    if batch.state not in DOUBTFUL:
        found = f" as {batch.remote}" if batch.remote else ""
        return Denied(f"it is {batch.state}{found}, so there is nothing to rule on")
    if batch.token != token:
        return Denied("it has been sent again since that was typed, so the word was about another call")
    return None


def _exists(batch: Batch, fact: Remote | None) -> Denied | None:
    if fact is None and not batch.proven:
        return None
    remote = fact.id if fact else batch.remote
    return Denied(
        f"it exists: it is {remote}, proven by its token or by the reply to its create call",
        "where its answers cannot be had any more, `--give-up` makes its rows dead letters, which `batchflow retry` asks again",
    )


def _not_there(seen: Sighting) -> Denied | None:
    if seen.remote is None:
        return Denied(
            f"the provider does not know {seen.id}",
            "is it of another workspace? A key sees the batches of its own only",
        )
    if seen.remote.archived and seen.token is None:
        return Denied(f"the results of {seen.id} are gone: the provider keeps them for 29 days")
    return None


def _known_otherwise(seen: Sighting, own: Remote | None) -> Denied | None:
    if own is None or own.id == seen.id:
        return None
    hint = f"where {seen.id} is ours too, `--batch-id {seen.id}` books it"
    return Denied(f"it is {own.id}: its token was read there, or its create call was answered so", hint)


def _taken(seen: Sighting, batch: Batch) -> Denied | None:
    if seen.fact is None or seen.fact.batch == batch.id:
        return None
    return Denied(f"{seen.id} is known already: it is batch {seen.fact.batch}")
