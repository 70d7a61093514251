"""What a stage is given: the ports of one run, and ways to ask for time, names and memory.

A kit belongs to one driver of one run. Stages hold nothing else; whatever they know they read from the store.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, cast

from batchflow.machine import run as run_machine
from batchflow.model.change import Change, Entity, Fact, Holding, Note, Put, Step
from batchflow.model.errors import Stale
from batchflow.model.notification import Kind, Threshold
from batchflow.model.rules import Rules
from batchflow.model.state import Batch, BatchState, Event, Intent, Outlook, Run
from batchflow.model.words import Word
from batchflow.ports.blobs import BlobStore
from batchflow.ports.builder import Builder
from batchflow.ports.check import Check
from batchflow.ports.notifier import Notifier
from batchflow.ports.prices import Prices
from batchflow.ports.provider import Provider
from batchflow.ports.retry import RetryPolicy
from batchflow.ports.sink import Sink
from batchflow.ports.source import Source
from batchflow.ports.state import StateStore
from batchflow.stages.asked import asked
from batchflow.stages.lane import Lane
from batchflow.stages.wall import is_foreign

T = TypeVar("T", bound=Entity | Fact)
G = TypeVar("G")
PAGE = 1000
USUAL = Threshold(share=0.05)
"""One dead letter in twenty."""
On: TypeAlias = Literal["ok", "dead", "all"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlet:
    """A sink of the job, by name, and which rows it sees."""

    name: str
    sink: Sink
    on: On = "ok"


def _kept(work: Callable[[], G]) -> tuple[G | None, Exception | None]:
    """Keep what it raises: part of the work is ours, and a mistake in that is nobody else's."""
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 - it is raised again, past the wall
        return None, error


@dataclass(frozen=True, kw_only=True, slots=True)
class Listener:
    """Who is told how a run stands: of what, by what name, and for how long it is tried."""

    name: str
    notifier: Notifier
    on: Collection[Kind] = ("finished", "paused", "failed", "dead")
    dead: Threshold = USUAL
    patience: float = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The components of a job, made and ready."""

    name: str
    source: Source
    builder: Builder
    outlets: Sequence[Outlet]
    retry: RetryPolicy
    rules: Rules
    checks: Sequence[Check] = ()
    listeners: Sequence[Listener] = ()
    lane: Lane = field(default_factory=Lane)
    """Where builders, checks and policies of others do a chunk of records at a time."""
    hung: dict[str, str] = field(default_factory=dict[str, str])
    """Sinks that did not come back, and what was said of it: in this process they are not asked again."""

    async def aside(self, parts: Iterable[object], doing: str, work: Callable[[], G]) -> G:
        """Do a chunk's work that calls these parts once per record: in the lane, if any of them is code of others."""
        foreign = next(filter(is_foreign, parts), None)
        if foreign is None:
            return work()
        done = partial(self.lane.run, partial(_kept, work))
        given, error = await asked(foreign, doing, done, within=self.rules.plugin_timeout, where=self.lane.where)
        if error is not None:
            raise error
        return cast("G", given)


class PollDelay(Protocol):
    """Gives the seconds until a batch of this age is looked at again: those that were reckoned, or a plugin's."""

    def __call__(self, *, age: float, default: float) -> float:
        """Decide for one batch."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Kit:
    """The ports of one run. `now`, `fresh` and `draw` come from the engine, so that tests can rule them."""

    run: str
    owner: str
    lease: str
    parts: Parts
    store: StateStore
    blobs: BlobStore
    provider: Provider
    prices: Prices
    hold: Callable[[int], AbstractAsyncContextManager[int]]
    now: Callable[[], float]
    fresh: Callable[[], str]
    """A new id, sortable by time."""
    token: Callable[[], str]
    """A new token, random."""
    draw: Callable[[], float]
    still_mine: Callable[[float], None]
    """Raises when the lease or this boot-clock deadline has passed."""
    boot: Callable[[], float]
    told: Callable[[Event], None]
    poll_delay: PollDelay

    async def commit(self, *change: Step) -> None:
        """Commit under the lease, then tell of the events in it."""
        await self.store.commit((Holding(self.lease, self.owner), *change))
        self._announce(change)

    async def record(self, *change: Step) -> None:
        """Commit facts that are true whoever holds the lease."""
        await self.store.commit(change)
        self._announce(change)

    def event(self, kind: str, subject: str = "", text: str = "", data: Mapping[str, object] | None = None) -> Note:
        """Make an event of this run, to be committed with what it tells of."""
        return Note(
            Event(
                id=self.fresh(),
                run=self.run,
                at=self.now(),
                kind=kind,
                subject=subject,
                text=text,
                data=dict(data or {}),
            )
        )

    async def outlook(self, moving: Sequence[BatchState], limit: int) -> tuple[Run, Outlook]:
        """Ask everything that a round goes by."""
        seen = await self.store.outlook(self.run, self.now(), moving=moving, limit=limit)
        if seen.run is None:
            raise Stale(f"run {self.run} is not in the store any more")
        return seen.run, seen

    async def current(self) -> Run:
        """Read the run as it is now."""
        run = await self.store.get(Run, self.run)
        if run is None:
            raise Stale(f"run {self.run} is not in the store any more")
        return run

    async def batch(self, id: str) -> Batch:
        """Read a batch as it is now."""
        batch = await self.store.get(Batch, id)
        if batch is None:
            raise Stale(f"batch {id} is not in the store any more")
        return batch

    async def every(self, kind: type[T], where: Mapping[str, Any]) -> list[T]:
        """List all entities of a kind, however many: for sets that are small but have no limit."""
        found: list[T] = []
        after = ""
        while True:
            page = await self.store.find(kind, where, after=after, limit=PAGE)
            found += page
            if len(page) < PAGE:
                return found
            after = getattr(page[-1], "token" if kind is Intent else "id")

    async def step_run(self, event: run_machine.AnyEvent, *more: Step) -> Run:
        """Take the run along one arrow, together with other changes; somebody else's change in between is read again."""
        while True:
            run = run_machine.step(await self.current(), event)
            try:
                await self.commit(Put(run), *more)
            except Stale as stale:
                if stale.subject != run.id:
                    raise
                continue
            return run

    async def pause(self, why: str, word: Word | None = None) -> None:
        """Pause the run for want of something; see `halt`."""
        await self.halt(run_machine.Paused(why, word))

    async def halt(self, event: run_machine.Paused, *more: Step) -> None:
        """Pause the run, unless it is not live any more: of several steps that find the same trouble, one says so."""
        while (run := await self.current()).state in run_machine.LIVE:
            paused = Put(run_machine.step(run, event))
            try:
                await self.commit(paused, self.event("run.paused", self.run, event.why), *more)
            except Stale as stale:
                if stale.subject != run.id:
                    raise
            else:
                return

    def _announce(self, change: Change) -> None:
        for step in change:
            if isinstance(step, Note) and isinstance(step.fact, Event):
                self.told(step.fact)
