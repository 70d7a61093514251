"""The app: puts the pieces together, once, and runs jobs. `from batchflow import Batchflow, Job`."""

import logging
import os
import random
import shutil
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

import anyio
import msgspec
from anyio.to_thread import run_sync

from batchflow.engine.aside import aside
from batchflow.engine.beginning import changed, fingerprint_of, not_replayed, renew, wish_to_cancel, write_down
from batchflow.engine.clock import SystemClock
from batchflow.engine.driver import Driver
from batchflow.engine.duplicates import open_seen
from batchflow.engine.ids import Ids, token, uuid7
from batchflow.engine.lease import DriverLease
from batchflow.engine.memory import BUDGET, Memory
from batchflow.engine.outlets import open_sinks, refuse_missing_sinks
from batchflow.engine.pricing import price_books
from batchflow.engine.reconciling import reconcile
from batchflow.engine.telling import Telling
from batchflow.extend.facade import Plugins
from batchflow.job import Job
from batchflow.machine.begin import AlreadyDone, LeftPaused, PickUp, Refuse, begin, go_on
from batchflow.machine.ruling import Ruling
from batchflow.machine.run import OPEN
from batchflow.model import errors
from batchflow.model.result import Result
from batchflow.model.state import Batch, BatchState, Event, Run, RunState
from batchflow.model.words import Word
from batchflow.ports.blobs import BlobStore
from batchflow.ports.clock import Clock
from batchflow.ports.prices import Prices
from batchflow.ports.provider import Provider
from batchflow.ports.retry import RetryPolicy
from batchflow.ports.state import StateStore
from batchflow.stages.deliver import rows_for
from batchflow.stages.draft import Reader
from batchflow.stages.kit import Kit, On, Parts
from batchflow.stages.mend import Unmended, refetch
from batchflow.stages.replay import replay
from batchflow.stages.revive import revive
from batchflow.stages.rule import Answer
from batchflow.stages.walled import walled

_log = logging.getLogger("batchflow")

ANSWERED = (BatchState.COLLECTED, BatchState.DELIVERED, BatchState.FAILED, BatchState.CANCELED)
"""States of batches whose rows have come to an end, whatever it was."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run stands, and its books.

    `driven` is False for a run that was left alone: it had delivered everything before, or an operator has paused it.
    """

    run: Run
    books: Mapping[str, int]
    driven: bool = True
    untold: Sequence[str] = ()
    """What notifiers could not tell, and why."""


class Batchflow:
    """Runs jobs against one state folder and one provider.

        async with Batchflow(".batchflow", provider=anthropic()) as flow:
            report = await flow.run(job)

    It installs no signal handlers, sets up no logging and keeps no global state; two of them live side by side. `on_event`
    is called after each commit with what happened. `stop()` ends a `run` gracefully, from a signal handler of yours.
    """

    def __init__(
        self,
        state: Path | str = ".batchflow",
        *,
        provider: Provider | None = None,
        store: StateStore | None = None,
        blobs: BlobStore | None = None,
        prices: Prices | None = None,
        retry: RetryPolicy | None = None,
        plugins: Plugins | Sequence[object] = (),
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        memory: int = BUDGET,
    ) -> None:
        self._folder = Path(state)
        self._plugins = plugins if isinstance(plugins, Plugins) else Plugins(plugins)
        self.store: StateStore = walled(store or self._plugins.state_store("sqlite")(path=self._folder / "state.db"))
        self.blobs: BlobStore = walled(blobs or self._plugins.blob_store("folder")(path=self._folder / "objects"))
        self.provider = provider or self._plugins.provider("anthropic")()
        self._prices = prices or price_books(self._plugins)
        self._retry = retry or self._plugins.retry("standard")()
        self._clock = clock or SystemClock()
        self._on_event = on_event or _silent
        self._memory = Memory(memory)
        self._drivers: set[Driver] = set()
        self._stopped = False

    async def __aenter__(self) -> "Batchflow":
        """Open the store; the provider connects when it is first needed."""
        await self.store.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of everything that was opened, also where one of them cannot be closed."""
        with anyio.CancelScope(shield=True):
            async with AsyncExitStack() as stack:
                for close in (self.store.close, self.blobs.close, self.provider.close, self._settle):
                    stack.push_async_callback(close)

    def stop(self) -> None:
        """Finish the steps in hand and begin nothing more: `run` returns, and the run can be picked up again."""
        self._stopped = True
        for driver in self._drivers:
            driver.stop()

    async def run(self, job: Job, *, new: bool = False, wait: float | None = None) -> Report:
        """Run a job to its end, or pick up where its last run stopped."""
        # Two processes that found no run to pick up would both begin one, and both would pay.
        deciding = self._lease(f"job/{job.file}/{job.name}")
        await deciding.take_over()
        try:
            return await self._run(job, new=new, wait=wait)
        finally:
            await deciding.give_back()

    async def _run(self, job: Job, *, new: bool, wait: float | None) -> Report:
        parts = job.parts(self._retry)
        last = await self.last(job)
        fingerprint = await fingerprint_of(parts, None if new else last)
        repeat = job.rules.repeat == "always"
        verdict = begin(last, config=job.identity(), fingerprint=fingerprint, new=new, repeat=repeat)
        match verdict:
            case AlreadyDone(run=run) | LeftPaused(run=run):
                telling = Telling(self._kit(run, parts, self._lease(f"run/{run.id}")), self._clock)
                async with telling.beside():
                    pass  # nothing but to tell what a process that died may not have told
                return await self._report(run, telling, driven=False)
            case Refuse(run=run, what=what):
                raise changed(run, what, await self.store.books(run.id))
            case PickUp(run=run):
                return await self._go_on(run, job, fingerprint, parts, wait=wait)
            case _:
                return await self.drive(self._fresh(job, fingerprint, after=last), parts, wait=wait)

    async def resume(self, job: Job, run: Run, *, wait: float | None = None) -> Report:
        """Go on with one unfinished run, be it the job's last or an earlier one."""
        if run.state not in OPEN:
            raise errors.RunRefused(
                f"run {run.id[:16]} of {run.job} is {run.state}: there is nothing to go on with",
                hint=f"`batchflow report {run.id[:16]}` says what came of it",
            )
        parts = job.parts(self._retry)
        fingerprint = await fingerprint_of(parts, run)
        match go_on(run, config=job.identity(), fingerprint=fingerprint):
            case Refuse(what=what):
                raise changed(run, what, await self.store.books(run.id))
            case PickUp():
                return await self._go_on(run, job, fingerprint, parts, wait=wait)

    async def _go_on(self, run: Run, job: Job, fingerprint: str | None, parts: Parts, *, wait: float | None) -> Report:
        first = partial(renew, config=job.identity(), fingerprint=fingerprint)
        return await self.drive(run, parts, wait=wait, first=first)

    async def retry(self, job: Job, run: Run, words: Collection[Word], *, wait: float | None = None) -> Report:
        """Ask the dead letters of these words again, as they were asked, with all their attempts anew."""
        if run.config != job.identity():
            raise errors.RunRefused(
                f"the job was changed since run {run.id[:16]}, and its dead letters could only be asked as they were then",
                hint="undo the change to ask them again; `batchflow run --new` asks everything as the job is now, and pays for it",
            )
        return await self.drive(run, job.parts(self._retry), wait=wait, first=partial(revive, words=words))

    async def replay(self, job: Job, run: Run, sink: str, *, wait: float | None = None) -> Report:
        """Bring everything that a run brought to one sink to it again, from the stored answers, and go on with the run."""
        parts = job.parts(self._retry)
        if run.state not in OPEN:
            try:
                return await self.drive(run, parts, wait=wait, first=partial(replay, sink=sink), anew=sink)
            except errors.SinkError as error:
                error.hint = not_replayed(run, error)
                raise
        fingerprint = await fingerprint_of(parts, run)
        verdict = go_on(run, config=job.identity(), fingerprint=fingerprint)
        if isinstance(verdict, Refuse):
            raise changed(run, verdict.what, await self.store.books(run.id))
        lease = self._lease(f"run/{run.id}")
        await aside(lease, partial(replay, self._kit(run, parts, lease), sink))
        return await self.drive(run, parts, wait=wait)

    async def cancel(self, job: Job, run: Run) -> Report:
        """End a run early: send nothing more, cancel what is at the provider, and keep what was answered."""
        return await self.drive(run, job.parts(self._retry), first=wish_to_cancel, bear=True)

    async def reconcile(self, job: Job, run: Run, rulings: Sequence[Ruling] = ()) -> Answer:
        """Look at what is in doubt or held in a run that nobody drives, and obey these rulings; nothing is sent."""
        lease = self._lease(f"run/{run.id}")
        return await reconcile(self._kit(run, job.parts(self._retry), lease), lease, rulings)

    async def refetch(self, job: Job, run: Run, batch: str) -> Unmended | None:
        """Fetch the stored answers of a batch again where they are damaged; say what stands in the way, if anything does."""
        lease = self._lease(f"run/{run.id}")
        kit = self._kit(run, job.parts(self._retry), lease)
        return await aside(lease, partial(refetch, kit, batch))

    async def results(
        self,
        run: Run,
        job: Job,
        *,
        on: On = "ok",
        on_damage: Callable[[Batch, int, errors.ObjectDamaged], None] | None = None,
    ) -> AsyncGenerator[Sequence[Result]]:
        """Stream what a run has brought home so far, batch by batch in the order they came, checked as the sinks got it.

        `on_damage` is told of each batch that cannot be given whole, and how many rows of it were; without it, the first
        damaged object ends the stream.
        """
        kit = self._kit(run, job.parts(self._retry), self._lease(f"run/{run.id}"))
        after = ""
        while batches := await self.store.find(Batch, {"run": run.id, "state": ANSWERED}, after=after):
            for batch in batches:
                given = 0
                try:
                    async with aclosing(rows_for(kit, batch, on)) as rows:
                        async for chunk in rows:
                            given += len(chunk)
                            yield chunk
                except errors.ObjectDamaged as damage:
                    if on_damage is None:
                        raise
                    on_damage(batch, given, damage)
            after = batches[-1].id

    async def drive(
        self,
        run: Run,
        parts: Parts,
        *,
        wait: float | None = None,
        first: Callable[[Kit], Awaitable[object]] | None = None,
        bear: bool = False,
        anew: str = "",
    ) -> Report:
        """Drive one run under its lease; `first` is done before anything else, and the sink called `anew` opened as in a new run.

        A sink that cannot be opened stops it before anything is done, unless it is to `bear` with that: then its parts wait.
        """
        lease = self._lease(f"run/{run.id}")
        await lease.take_over()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(lease.give_back)
            kit = self._kit(run, parts, lease, await self._newest(run))
            kit = replace(
                kit, parts=replace(parts, outlets=await open_sinks(kit, stack, self._folder, bear=bear, anew=anew))
            )
            await refuse_missing_sinks(kit)
            telling = Telling(kit, self._clock)
            kit = replace(kit, told=telling.overhearing(kit.told))
            async with telling.beside():
                await write_down(kit, run)
                if first is not None:
                    await first(kit)
                ended = await self._driven(kit, lease, wait, stack)
            if ended.state in {RunState.DONE, RunState.CANCELED}:
                await run_sync(partial(shutil.rmtree, self._folder / "seen" / run.id, ignore_errors=True))
            await self._settle()
            return await self._report(ended, telling)

    async def _settle(self) -> None:
        """Let plugins hear of what has happened before somebody is told that it is over."""
        if self._plugins.listen:
            await run_sync(self._plugins.settle)

    async def _report(self, run: Run, telling: Telling, *, driven: bool = True) -> Report:
        return Report(run=run, books=await self.store.books(run.id), driven=driven, untold=telling.untold)

    async def _driven(self, kit: Kit, lease: DriverLease, wait: float | None, stack: AsyncExitStack) -> Run:
        run = await kit.current()
        reader = None
        if not run.read_all:
            books = await self.store.books(run.id)
            seen = await open_seen(kit, run, self._folder / "seen" / run.id)
            reader = Reader(kit, start=run.position, read=books["read"], seen=seen)
            stack.push_async_callback(reader.close)
            await reader.retell()
        driver = Driver(kit, lease, self._clock, reader, wait=wait)
        if self._stopped:
            driver.stop()
        self._drivers.add(driver)
        try:
            return await driver.drive()
        finally:
            self._drivers.discard(driver)

    async def last(self, job: Job) -> Run | None:
        """Find the last run of a job."""
        runs = await self.store.find(Run, {"job": job.name, "file": job.file}, limit=1, newest=True)
        return runs[0] if runs else None

    def _tell(self, job: str, event: Event) -> None:
        """Tell what was committed. Who listens badly must not be able to undo it, or to stop what comes next."""
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - it is not our code, and the commit has happened
            _log.exception("on_event failed on %s", event.kind)
        self._plugins.hand_on(event, job)

    async def _newest(self, run: Run) -> str:
        """Name the newest batch of a run: later ones must sort after it, also where the clock was set back meanwhile."""
        batches = await self.store.find(Batch, {"run": run.id}, limit=1, newest=True)
        return batches[0].id if batches else ""

    def _fresh(self, job: Job, fingerprint: str | None, *, after: Run | None) -> Run:
        return Run(
            id=Ids(after.id if after else "")(),
            job=job.name,
            file=job.file,
            config=job.identity(),
            summary=job.rules.summary,
            fingerprint=fingerprint,
            created_at=self._clock.now(),
        )

    def _lease(self, name: str) -> DriverLease:
        return DriverLease(self.store, self._clock, name=name, id=uuid7(), host=socket.gethostname(), pid=os.getpid())

    def _kit(self, run: Run, parts: Parts, lease: DriverLease, newest: str = "") -> Kit:
        return Kit(
            run=run.id,
            owner=lease.owner,
            lease=lease.name,
            parts=parts,
            store=self.store,
            blobs=self.blobs,
            provider=self.provider,
            prices=self._prices,
            hold=self._memory.hold,
            now=self._clock.now,
            boot=self._clock.boot,
            fresh=Ids(newest),
            token=token,
            draw=random.random,
            still_mine=lease.check,
            told=partial(self._tell, parts.name),
            poll_delay=self._plugins.choose_poll_delay,
        )


def _silent(_event: Event) -> None:
    """Nobody listens."""
