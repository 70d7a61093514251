"""What came of a run: the books in words, the dead letters by reason, processing times, money beside list price."""

from collections.abc import Iterable, Mapping
from statistics import quantiles

import msgspec

from batchflow.model.state import Batch, Decision, Run, Setback
from batchflow.model.words import Word
from batchflow.ports.state import StateStore
from batchflow.reports.paging import every
from batchflow.reports.runs import RunFacts, facts
from batchflow.reports.shown import shown
from batchflow.reports.watched import Watched, watched
from batchflow.stages.reject import LANE


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How often one outcome word came, and one example of it."""

    word: str
    count: int
    example: str


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How long batches took at the provider, in seconds."""

    batches: int
    p50: float
    p95: float


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """One run, in full."""

    run: RunFacts
    success_rate: float | None
    """Delivered rows among those that have come to an end."""
    asked_again: tuple[Tally, ...]
    dead: tuple[Tally, ...]
    processing: Times | None
    sinks: tuple[str, ...]
    """Where the results are, as the job file says."""
    watched: tuple[Watched, ...]
    """Lost calls that are thought to have made nothing, and may still turn out to have made a batch."""


async def report(store: StateStore, run: Run, *, now: float) -> RunReport:
    """Gather everything about one run."""
    found = await facts(store, run)
    setbacks = [one async for one in every(store, Setback, {"run": run.id})]
    ended = [batch async for batch in every(store, Batch, {"run": run.id}) if batch.lane != LANE]
    return RunReport(
        run=found,
        success_rate=success_rate(found.books),
        asked_again=_tallies(one for one in setbacks if one.decision is Decision.AGAIN),
        dead=_tallies(one for one in setbacks if one.decision is Decision.DEAD),
        processing=times(duration for batch in ended if (duration := lasted(batch)) is not None),
        sinks=tuple(sink.where for sink in shown(run.summary).sinks),
        watched=tuple(await watched(store, run, now=now)),
    )


def success_rate(books: Mapping[str, int]) -> float | None:
    """Say which share of the rows that came to an end is good; None while there is none."""
    good = books["delivered"] + books["collected"]
    ended = good + books["dead"] + books["canceled"]
    return good / ended if ended else None


def lasted(batch: Batch) -> float | None:
    """Say how long a batch was at the provider."""
    if batch.submitted_at is None or batch.ended_at is None:
        return None
    return max(0.0, batch.ended_at - batch.submitted_at)


def times(durations: Iterable[float]) -> Times | None:
    """Sum up processing times."""
    known = sorted(durations)
    if not known:
        return None
    cuts = quantiles(known, n=20, method="inclusive") if len(known) > 1 else known * 19
    return Times(batches=len(known), p50=cuts[9], p95=cuts[18])


def _tallies(setbacks: Iterable[Setback]) -> tuple[Tally, ...]:
    counts: dict[Word, int] = {}
    examples: dict[Word, str] = {}
    for one in setbacks:
        counts[one.word] = counts.get(one.word, 0) + one.count
        examples.setdefault(one.word, ": ".join(told for told in (one.key, one.sample) if told))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))
    return tuple(Tally(word=word.value, count=counts[word], example=examples[word]) for word in frequent)
