"""Runs as facts: which there are, which one is meant, where each stands."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from batchflow.machine.batch import TERMINAL
from batchflow.machine.run import OPEN, standing
from batchflow.machine.soundness import wrong_sums
from batchflow.model.errors import RunRefused
from batchflow.model.money import DOLLAR
from batchflow.model.state import Batch, BatchState, Delivery, DeliveryState, Run
from batchflow.ports.state import StateStore
from batchflow.reports.paging import every
from batchflow.reports.shown import shown

SHORT = 16
"""Letters of an id that people see: the millisecond at which it was made, and enough to tell two jobs begun together."""
LAST = "@last"
WORRYING = (BatchState.IN_DOUBT, BatchState.HELD)
MOVING = tuple(state for state in BatchState if state not in TERMINAL)


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """The process that drives a run now."""

    host: str
    pid: int
    since: str


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """What a run cost, in dollars. `listed` is the same work at list price, `reserved` what is in flight at most."""

    paid: float
    listed: float
    waste: float
    """What of it bought nothing that is used: answers that were asked again, and batches that were paid twice."""
    twice: float
    """What of the waste went into batches that turned up after their rows had been sent again."""
    reserved: float
    budget: float | None


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as `ps` shows it."""

    run: str
    job: str
    file: str
    state: str
    standing: str
    """The same for people: `canceling` while what is in flight of a canceled run is not home yet."""
    why: str
    began: str
    ended: str | None
    driver: Driver | None
    books: Mapping[str, int]
    balanced: bool
    money: Money
    batches: Mapping[str, int]
    """Batches that are not at rest, by state."""
    worries: tuple[str, ...]

    @property
    def short(self) -> str:
        """The id as people type it."""
        return self.run[:SHORT]


async def find_run(store: StateStore, wanted: str) -> Run:
    """Find the run that somebody means: a job's name, `job@last`, the start of an id, or nothing for the newest."""
    job = wanted.removesuffix(LAST)
    if runs := await store.find(Run, {"job": job} if job else {}, limit=1, newest=True):
        return runs[0]
    matches = [run async for run in every(store, Run, {}) if run.id.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        told = ", ".join(f"{run.id[: SHORT + 8]} ({run.job})" for run in matches[:5])
        raise RunRefused(f"{len(matches)} runs begin with `{wanted}`: {told}", hint="type more of the id")
    raise await _unknown(store, wanted)


async def facts(store: StateStore, run: Run) -> RunFacts:
    """Shape one run."""
    books = await store.books(run.id)
    lease = await store.holder(f"run/{run.id}")
    moving = [batch async for batch in every(store, Batch, {"run": run.id, "state": MOVING})]
    return RunFacts(
        run=run.id,
        job=run.job,
        file=run.file,
        state=run.state,
        standing=standing(run),
        why=run.why,
        began=instant(run.created_at),
        ended=instant(run.ended_at) if run.ended_at is not None else None,
        driver=Driver(host=lease.host, pid=lease.pid, since=instant(lease.since)) if lease else None,
        books=books,
        balanced=balanced(books),
        money=money(books, shown(run.summary).limit),
        batches=Counter(batch.state.value for batch in moving),
        worries=(*(worry(batch) for batch in moving if batch.state in WORRYING), *await _refusals(store, run)),
    )


async def unfinished(store: StateStore) -> list[Run]:
    """List the runs that could be gone on with."""
    return [run async for run in every(store, Run, {"state": tuple(OPEN)}, newest=True)]


def money(books: Mapping[str, int], budget: int | None) -> Money:
    """Turn the counters of money into dollars."""
    return Money(
        paid=books["paid"] / DOLLAR,
        listed=books["listed"] / DOLLAR,
        waste=books["waste"] / DOLLAR,
        twice=books["twice"] / DOLLAR,
        reserved=books["reserved"] / DOLLAR,
        budget=None if budget is None else budget / DOLLAR,
    )


def balanced(books: Mapping[str, int]) -> bool:
    """Tell whether every record and every row is in exactly one place."""
    return not any(wrong_sums(books))


def worry(batch: Batch) -> str:
    """Say what a person should know of a batch that is in doubt or held."""
    return f"batch {batch.id[:SHORT]} ({batch.count:,} requests) is {batch.state.replace('_', ' ')}: {batch.why}"


async def _refusals(store: StateStore, run: Run) -> list[str]:
    """Say of each sink how many rows its target refused, and what it said of the first."""
    refused = [part async for part in every(store, Delivery, {"run": run.id, "state": DeliveryState.REFUSED})]
    rows, whys = Counter[str](), dict[str, str]()
    for part in refused:
        rows[part.sink] += part.rows
        whys.setdefault(part.sink, part.why)
    again = (
        f"`batchflow retry {run.id[:SHORT]} --only sink_error` brings them again, once that is mended, and asks nothing"
    )
    return [f"sink {sink} refused {n:,} of the rows, for example {whys[sink]}. {again}" for sink, n in rows.items()]


def instant(at: float) -> str:
    """Write a point in time for programs."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _unknown(store: StateStore, wanted: str) -> RunRefused:
    jobs = sorted({run.job for run in await store.find(Run, {}, limit=200, newest=True)})
    if not wanted or not jobs:
        return RunRefused("there are no runs here yet", hint="`batchflow run` makes one")
    return RunRefused(
        f"there is no run `{wanted}`: it is neither a job's name nor the start of a run's id",
        hint=f"jobs with runs here: {', '.join(jobs)}; `batchflow ps` lists all runs",
    )
