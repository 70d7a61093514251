"""Whose batch is it? Decisions about calls whose reply was lost.

A create call that may have happened left an *intent*: a token, a count, a watermark. The provider's listing shows
batches that no reply ever named to us: *candidates*. A candidate's count is only a claim; its token, readable from its
first result line once it ended, is proof. So:

- a candidate whose token is ours is adopted, proven;
- a single candidate for a single intent of its count may be adopted at once, and is proven at collection;
- while any candidate could be ours, nothing is absent, and counting listings begins anew when there is none any more;
- absence needs two full listings without a candidate and the grace: so long one process has been looking, by a clock that
  nobody sets.

A count is only worth something where it can be true: a batch at work with nothing left to process tells none.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import msgspec

from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Intent

SLACK = 600.0
"""The listing is searched this far below the watermark: clocks of many machines, one listing."""
LISTINGS = 2
UNKNOWN = 0
"""The count of a batch whose provider leaves counters out: it could be any."""
LONGEST = 24 * 3600.0
"""How long a batch may take, where its provider does not say."""
PATIENCE = 3600.0
"""A candidate that never ends is waited for until this long after it should have expired."""

WATCH = 48 * 3600.0
"""A token that is thought to have made nothing is looked out for so long."""


class Adopt(msgspec.Struct, frozen=True):
    """Take this batch as the one the intent made."""

    remote: RemoteBatch
    proven: bool


class Wait(msgspec.Struct, frozen=True):
    """Look again later. `shown` says that the listing holds a candidate, so it is no step towards absence."""

    why: str
    shown: bool = False


class GoneMissing(msgspec.Struct, frozen=True):
    """It was never created."""


class Ask(msgspec.Struct, frozen=True):
    """Only a person can tell."""

    why: str


Verdict: TypeAlias = Adopt | Wait | GoneMissing | Ask


def candidates_of(intent: Intent, unknown: Sequence[RemoteBatch], tokens: Mapping[str, str]) -> list[RemoteBatch]:
    """Pick the batches that could be this intent's: right count, not too old, not shown to be somebody else's."""
    return [
        remote
        for remote in unknown
        if believed(remote) in {intent.count, UNKNOWN}
        and remote.created_at >= intent.watermark - SLACK
        and tokens.get(remote.id, intent.token) == intent.token
    ]


def believed(remote: RemoteBatch) -> int:
    """Say how many requests a batch holds, as far as its counters can be believed."""
    done = remote.succeeded + remote.errored + remote.canceled + remote.expired
    return UNKNOWN if not remote.ended and remote.count == done else remote.count


def judge(
    intents: Sequence[Intent],
    unknown: Sequence[RemoteBatch],
    tokens: Mapping[str, str],
    *,
    now: float,
    patient: Collection[str],
) -> dict[str, Verdict]:
    """Decide for every open intent at once: they compete for the same candidates.

    `unknown` are listed batches that no `Remote` fact names; `tokens` are those already read from results; `patient` are
    the tokens that were looked for as long as the grace.
    """
    claims = {intent.token: _claims(intent, unknown, tokens) for intent in intents}
    verdicts: dict[str, Verdict] = {}
    for intent in intents:
        rivals = [t for t, found in claims.items() if t != intent.token and _meet(found, claims[intent.token])]
        verdicts[intent.token] = _judge_one(
            intent, claims[intent.token], rivals, tokens, now=now, patient=intent.token in patient
        )
    return verdicts


def _claims(intent: Intent, unknown: Sequence[RemoteBatch], tokens: Mapping[str, str]) -> list[RemoteBatch]:
    """Pick the candidates; an intent with proof claims nothing else, and stands in nobody's way."""
    found = candidates_of(intent, unknown, tokens)
    return [remote for remote in found if tokens.get(remote.id) == intent.token] or found


def _meet(one: Sequence[RemoteBatch], other: Sequence[RemoteBatch]) -> bool:
    return bool({remote.id for remote in one} & {remote.id for remote in other})


def _judge_one(
    intent: Intent,
    found: Sequence[RemoteBatch],
    rivals: Sequence[str],
    tokens: Mapping[str, str],
    *,
    now: float,
    patient: bool,
) -> Verdict:
    proven = [remote for remote in found if tokens.get(remote.id) == intent.token]
    if proven:
        return Adopt(proven[0], proven=True)
    if not found:
        return _absent_yet(intent, patient=patient)
    if len(found) == 1 and not rivals and believed(found[0]) == intent.count:
        return Adopt(found[0], proven=False)
    if all(_overdue(remote, now) for remote in found):
        names = ", ".join(remote.id for remote in found)
        return Ask(
            f"{len(found)} batches of {intent.count} requests could be this one ({names}) and none of them tells"
        )
    why = f"{len(found)} batches of {intent.count} requests could be this one; the first to end will tell"
    return Wait(why, shown=True)


def _absent_yet(intent: Intent, *, patient: bool) -> Verdict:
    if intent.healthy + 1 >= LISTINGS and patient:
        return GoneMissing()
    return Wait("not in the listing so far")


def _overdue(remote: RemoteBatch, now: float) -> bool:
    """Tell whether a batch should long have ended; one that did, and whose token could still not be read, is no better."""
    expires_at = remote.created_at + LONGEST if remote.expires_at is None else remote.expires_at
    return now > expires_at + PATIENCE
