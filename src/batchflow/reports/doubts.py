"""Batches in doubt or held, each in one sentence: what happened, what is known of its money, and what one may type."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from batchflow.machine.ruling import DOUBTFUL, at_most
from batchflow.model.errors import RunRefused
from batchflow.model.money import DOLLAR
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Batch, BatchState, Binding, Intent, Remote, Run
from batchflow.ports.state import StateStore
from batchflow.reports.paging import every
from batchflow.reports.runs import SHORT, instant
from batchflow.stages.account import same_account

UNCLEAR = (BatchState.SUBMITTING, *DOUBTFUL)
"""States in which nobody may know of a batch whether it exists: in doubt, or in a call whose process may be dead."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of the provider's that could be the one that is looked for."""

    remote: str
    requests: int
    created: str
    ended: bool


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """One batch that nobody can be sure of."""

    run: str
    job: str
    batch: str
    state: str
    requests: int
    at_most: float
    """Dollars that are reserved for it: it cannot have cost more."""
    token: str
    """What the custom_ids of its requests begin with."""
    sent: str | None
    """The last moment at which a byte of its create call may have left."""
    remote: str | None
    """The provider's batch that it is known to be."""
    account: str
    why: str
    candidates: tuple[Candidate, ...] | None
    """None where the listing was not looked at."""
    sentence: str
    say: tuple[str, ...]
    """Commands that decide about it, and would be obeyed."""


def _nobody() -> None:
    """Nobody can say as whom the job would look."""


async def doubts(
    store: StateStore,
    run: Run,
    seen: Mapping[str, Sequence[RemoteBatch]] | None = None,
    *,
    here: Callable[[], Binding | None] = _nobody,
) -> list[Doubt]:
    """Describe every batch of a run that is in doubt or held.

    `seen` are the candidates that a look has found. Where there was none, `here` says as whom the job would look, so that
    nobody is offered a word that a look would deny.
    """
    batches = [batch async for batch in every(store, Batch, {"run": run.id, "state": DOUBTFUL})]
    binding = here() if batches and seen is None else None
    return [await _doubt(store, run, batch, seen, binding) for batch in batches]


async def _doubt(
    store: StateStore, run: Run, batch: Batch, seen: Mapping[str, Sequence[RemoteBatch]] | None, here: Binding | None
) -> Doubt:
    intent = await store.get(Intent, batch.token)
    facts = await store.find(Remote, {"token": batch.token, "batch": batch.id}, limit=1)
    remote = facts[0].id if facts else batch.remote if batch.proven else ""
    strange = not remote and (_unsure(intent, here) if seen is None else batch.id not in seen)
    shown = None if seen is None or strange or remote else tuple(_candidate(one) for one in seen[batch.id])
    return Doubt(
        run=run.id,
        job=run.job,
        batch=batch.id,
        state=batch.state.value,
        requests=batch.count,
        at_most=batch.reserved / DOLLAR,
        token=batch.token,
        sent=instant(intent.last_byte_at) if intent else None,
        remote=remote or None,
        account=_account(intent),
        why=batch.why,
        candidates=shown,
        sentence=_sentence(batch, intent, remote, shown, here if strange else None),
        say=tuple(_say(run, batch, remote, shown, strange=strange)),
    )


async def batch_of(store: StateStore, wanted: str, where: Mapping[str, str]) -> Batch:
    """Find the batch whose id begins so."""
    found = [batch async for batch in every(store, Batch, where) if batch.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        told = ", ".join(batch.id for batch in found[:5])
        raise RunRefused(f"{len(found)} batches begin with `{wanted}`: {told}", hint="type more of the id")
    raise RunRefused(f"there is no batch `{wanted}` here", hint="`batchflow reconcile` lists those in doubt or held")


async def doubtful_runs(store: StateStore) -> list[Run]:
    """List the runs that have a batch in doubt or held, the newest first."""
    ids = {batch.run async for batch in every(store, Batch, {"state": UNCLEAR})}
    return [run for id in sorted(ids, reverse=True) if (run := await store.get(Run, id)) is not None]


def _unsure(intent: Intent | None, here: Binding | None) -> bool:
    """Tell whether the key in use may be of another account than the call was made with. A look finds out."""
    return intent is not None and (here is None or not same_account(intent.binding, here))


def _sentence(
    batch: Batch, intent: Intent | None, remote: str, shown: Sequence[Candidate] | None, other: Binding | None
) -> str:
    what = f"batch {batch.id[:SHORT]} ({batch.count:,} requests) is {batch.state.replace('_', ' ')}"
    why = f": {batch.why.rstrip('.')}" if batch.why else ""
    more = (_money(batch, intent, remote), _shown(shown), _other(intent, other))
    return ". ".join([f"{what}{why}", *filter(None, more)]) + "."


def _other(intent: Intent | None, here: Binding | None) -> str:
    """Say that the job would come as somebody else now."""
    if intent is None or here is None:
        return ""
    return (
        f"Its call went to {intent.binding.base_url} with key {intent.binding.key}, and the job has {here.base_url} and key "
        f"{here.key or 'none'} now: only a key of the same workspace can tell whether it exists"
    )


def _money(batch: Batch, intent: Intent | None, remote: str) -> str:
    if remote:
        return f"It is {remote}: what was answered in it is paid for, {at_most(batch)}"
    if intent is None:
        return f"{at_most(batch).capitalize()} may have been paid"
    left = instant(intent.last_byte_at)
    return f"The last byte of its create call may have left at {left}, and {at_most(batch)} may have been paid"


def _shown(shown: Sequence[Candidate] | None) -> str:
    if shown is None:
        return ""
    if not shown:
        return "The listing shows no batch that it could be"
    told = ", ".join(f"{one.remote} ({'ended' if one.ended else 'at work'}, created {one.created})" for one in shown)
    return f"The listing shows {len(shown)} that it could be: {told}"


def _say(run: Run, batch: Batch, remote: str, shown: Sequence[Candidate] | None, *, strange: bool) -> list[str]:
    name, begin = batch.id[:SHORT], f"batchflow reconcile {run.id[:SHORT]}"
    if remote:
        return [f"batchflow resume {run.id[:SHORT]}", f"{begin} --give-up {name}"]
    if strange:
        return [f"{begin} --give-up {name}"]
    adopt = [f"{begin} --adopt {name}={one.remote}" for one in shown or ()]
    return [*adopt, f"{begin} --absent {name}", f"{begin} --give-up {name}"]


def _candidate(remote: RemoteBatch) -> Candidate:
    return Candidate(remote=remote.id, requests=remote.count, created=instant(remote.created_at), ended=remote.ended)


def _account(intent: Intent | None) -> str:
    if intent is None:
        return ""
    binding = intent.binding
    place = "/".join(part for part in (binding.organization, binding.workspace) if part)
    return f"{binding.base_url}{f' ({place})' if place else ''}, key {binding.key}"
