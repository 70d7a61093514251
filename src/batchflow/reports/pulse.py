"""A run as it goes: what a person watching it wants to see, read twice a second at little cost."""

from collections.abc import Mapping

import msgspec

from batchflow.machine.run import OPEN
from batchflow.model.state import Batch, BatchState, Event, Run
from batchflow.ports.state import StateStore
from batchflow.reports.ledger import Times, lasted, times
from batchflow.reports.paging import every
from batchflow.reports.runs import MOVING, WORRYING, worry

AT_WORK = (BatchState.RUNNING, BatchState.CANCELING)


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a run."""

    job: str
    run: Run
    books: Mapping[str, int]
    flying: int
    """Batches that the provider is working on."""
    processing: Times | None
    worries: tuple[str, ...]
    budget: int | None


class Watch:
    """Looks at one job's run again and again. Batches that have ended are read once each, when it is heard of them."""

    def __init__(self, store: StateStore, *, job: str, file: str, budget: int | None, run: str = "") -> None:
        self.job = job
        self._store = store
        self._file = file
        self._budget = budget
        self._run = run
        self._is_caught_up = False
        self._ended: set[str] = set()
        self._durations: dict[str, float] = {}

    def heard(self, event: Event) -> None:
        """Note which run it is, and which batch has come to its end."""
        if event.run != self._run:
            self._run, self._is_caught_up, self._durations = event.run, False, {}
        if event.kind == "batch.ended":
            self._ended.add(event.subject)

    async def look(self) -> Pulse | None:
        """Read where the run stands; None while there is none that could be going on."""
        run = await self._current()
        if run is None:
            return None
        await self._read_ended()
        moving = await self._store.find(Batch, {"run": run.id, "state": MOVING})
        return Pulse(
            job=self.job,
            run=run,
            books=await self._store.books(run.id),
            flying=sum(batch.state in AT_WORK for batch in moving),
            processing=times(self._durations.values()),
            worries=tuple(worry(batch) for batch in moving if batch.state in WORRYING),
            budget=self._budget,
        )

    async def _current(self) -> Run | None:
        if not self._run:
            last = await self._store.find(Run, {"job": self.job, "file": self._file}, limit=1, newest=True)
            if not last or last[0].state not in OPEN:
                return None
            self._run = last[0].id
        if not self._is_caught_up:
            # A run that is picked up has a past that no event will tell of.
            self._is_caught_up = True
            ended = {"run": self._run, "state": (BatchState.ENDED, BatchState.COLLECTED, BatchState.DELIVERED)}
            self._ended.update([batch.id async for batch in every(self._store, Batch, ended)])
        return await self._store.get(Run, self._run)

    async def _read_ended(self) -> None:
        ids, self._ended = self._ended, set()
        for batch in await self._store.find(Batch, {"id": list(ids)}, limit=len(ids)) if ids else ():
            if (duration := lasted(batch)) is not None:
                self._durations[batch.id] = duration
