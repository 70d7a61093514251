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
from batchflow.engine.clock import SystemClock
from batchflow.engine.driver import Driver
from batchflow.engine.duplicates import open_seen
from batchflow.engine.ids import Ids, token, uuid7
from batchflow.engine.lease import DriverLease
from batchflow.engine.memory import BUDGET, Memory
from batchflow.engine.reconciling import reconcile
from batchflow.engine.telling import Telling
from batchflow.engine.unready import Unready
from batchflow.extend.facade import Plugins
from batchflow.job import Job
from batchflow.machine.begin import AlreadyDone, LeftPaused, PickUp, Refuse, begin, go_on
from batchflow.machine.ruling import Ruling
from batchflow.machine.run import OPEN, Resumed
from batchflow.model import errors
from batchflow.model.change import Put
from batchflow.model.money import Price
from batchflow.model.result import Result
from batchflow.model.state import Batch, BatchState, Delivery, DeliveryState, Event, Run, RunState, Wish
from batchflow.model.state import Outlet as LastReceipt
from batchflow.model.words import Word
from batchflow.ports.blobs import BlobStore
from batchflow.ports.clock import Clock
from batchflow.ports.prices import Prices
from batchflow.ports.provider import Provider
from batchflow.ports.retry import RetryPolicy
from batchflow.ports.sink import SinkContext
from batchflow.ports.state import StateStore
from batchflow.stages.asked import asked, let_go, where_of
from batchflow.stages.deliver import rows_for
from batchflow.stages.draft import Reader
from batchflow.stages.kit import Kit, On, Outlet, Parts
from batchflow.stages.mend import Unmended, refetch
from batchflow.stages.overlap import Written, covers_of, needed_in, overlaps, targets_of
from batchflow.stages.reopen import refuse_other_account, refuse_other_address, reopen
from batchflow.stages.replay import replay
from batchflow.stages.revive import revive
from batchflow.stages.rule import Answer
from batchflow.stages.wall import misgiven, of_job, wall

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
        self.store: StateStore = store or self._plugins.state_store("sqlite")(path=self._folder / "state.db")
        self.blobs: BlobStore = blobs or self._plugins.blob_store("folder")(path=self._folder / "objects")
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
        """Let go of everything that was opened."""
        with anyio.CancelScope(shield=True):
            await self._settle()
            await self.provider.close()
            await self.blobs.close()
            await self.store.close()

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
        fingerprint = await _fingerprint(parts, None if new else last)
        repeat = job.rules.repeat == "always"
        verdict = begin(last, config=job.identity(), fingerprint=fingerprint, new=new, repeat=repeat)
        match verdict:
            case AlreadyDone(run=run) | LeftPaused(run=run):
                telling = Telling(self._kit(run, parts, self._lease(f"run/{run.id}")), self._clock)
                async with telling.beside():
                    pass  # nothing but to tell what a process that died may not have told
                return await self._report(run, telling, driven=False)
            case Refuse(run=run, what=what):
                raise _changed(run, what, await self.store.books(run.id))
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
        fingerprint = await _fingerprint(parts, run)
        match go_on(run, config=job.identity(), fingerprint=fingerprint):
            case Refuse(what=what):
                raise _changed(run, what, await self.store.books(run.id))
            case PickUp():
                return await self._go_on(run, job, fingerprint, parts, wait=wait)

    async def _go_on(self, run: Run, job: Job, fingerprint: str | None, parts: Parts, *, wait: float | None) -> Report:
        first = partial(_renew, config=job.identity(), fingerprint=fingerprint)
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
        if run.state in OPEN:
            fingerprint = await _fingerprint(parts, run)
            verdict = go_on(run, config=job.identity(), fingerprint=fingerprint)
            if isinstance(verdict, Refuse):
                raise _changed(run, verdict.what, await self.store.books(run.id))
        lease = self._lease(f"run/{run.id}")
        await aside(lease, partial(replay, self._kit(run, parts, lease), sink))
        return await self.drive(run, parts, wait=wait)

    async def cancel(self, job: Job, run: Run) -> Report:
        """End a run early: send nothing more, cancel what is at the provider, and keep what was answered."""
        return await self.drive(run, job.parts(self._retry), first=_wish_to_cancel, bear=True)

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
    ) -> Report:
        """Drive one run under its lease; `first` is done before anything else.

        A sink that cannot be opened stops it before anything is done, unless it is to `bear` with that: then its parts wait.
        """
        lease = self._lease(f"run/{run.id}")
        await lease.take_over()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(lease.give_back)
            kit = self._kit(run, parts, lease, await self._newest(run))
            kit = replace(kit, parts=replace(parts, outlets=await self._open_sinks(kit, stack, bear=bear)))
            await self._refuse_missing_sinks(kit)
            telling = Telling(kit, self._clock)
            kit = replace(kit, told=telling.overhearing(kit.told))
            async with telling.beside():
                await self._begin(kit, run)
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

    async def _begin(self, kit: Kit, run: Run) -> None:
        """Write a fresh run down, or wake one that stopped."""
        if await self.store.get(Run, run.id) is None:
            await kit.commit(Put(run), kit.event("run.started", run.id, run.job))
            return

        await refuse_other_address(kit)
        await refuse_other_account(kit)
        await _wake(kit)
        await reopen(kit)

    async def _open_sinks(self, kit: Kit, stack: AsyncExitStack, *, bear: bool) -> list[Outlet]:
        """Open every sink before any money is spent; none where one would write over what is needed."""
        refusals = await self._overlaps(kit)
        if not bear and (wrong := next(filter(None, refusals), None)):
            raise wrong
        opened: list[Outlet] = []
        for outlet, refusal in zip(kit.parts.outlets, refusals, strict=True):
            if refusal:
                opened.append(replace(outlet, sink=Unready(outlet.sink, refusal)))
                continue
            last = await self.store.get(LastReceipt, f"{kit.run}/{outlet.name}")
            fresh = last is None or last.receipt is None
            context = SinkContext(run=kit.run, job=kit.parts.name, sink=outlet.name, fresh=fresh)
            sink, within = outlet.sink, kit.parts.rules.plugin_timeout
            stack.push_async_callback(partial(let_go, sink, "when it was closed", sink.close, within=within))
            try:
                make_ready = partial(sink.open, context, last.receipt if last else None)
                await asked(sink, "when it was opened", make_ready, within=within, where=where_of(sink))
            except (errors.SinkError, errors.PluginError) as error:
                if bear:
                    opened.append(replace(outlet, sink=Unready(sink, error)))
                    continue
                if isinstance(error, errors.PluginError):
                    raise of_job(kit.parts.name, error) from error
                if await self.store.get(Run, kit.run) is not None:
                    raise
                raise errors.SinkUnready(f"{error.message} Nothing was sent.", hint=error.hint) from error
            opened.append(outlet)
        return opened

    async def _overlaps(self, kit: Kit) -> list[errors.SinkUnready | None]:
        """Say of each sink whether it would write over what is needed. The source is looked at when a run begins."""
        written = [Written(outlet.name, targets_of(outlet.sink) or ()) for outlet in kit.parts.outlets]
        is_new = await self.store.get(Run, kit.run) is None
        covers = covers_of(kit.parts.source) if is_new else None
        found = await overlaps(written, covers, needed_in(self._folder, Path.cwd()))
        return [
            errors.SinkUnready(f"{one.message}. Nothing was touched.", hint=one.hint) if one else None for one in found
        ]

    async def _refuse_missing_sinks(self, kit: Kit) -> None:
        """Parts that wait for a sink which the job has no longer would wait for ever."""
        names = {outlet.name for outlet in kit.parts.outlets}
        open_parts = {"run": kit.run, "state": (DeliveryState.DUE, DeliveryState.PARKED)}
        for part in await self.store.find(Delivery, open_parts):
            if part.sink not in names:
                raise errors.RunRefused(
                    f"run {kit.run[:16]} still has results for sink {part.sink}, which the job does not have any more. They are safe",
                    hint=f"put a sink called `{part.sink}` back into the job and run it again",
                )

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


class PriceBooks:
    """Several price books as one: the first that knows a model is believed."""

    def __init__(self, books: Sequence[Prices]) -> None:
        self._books = books
        self._known: dict[str, Price | None] = {}

    def price(self, model: str) -> Price | None:
        """Ask each book once per model."""
        if model not in self._known:
            prices = (_asked_price(book, model) for book in self._books)
            self._known[model] = next((price for price in prices if price is not None), None)
        return self._known[model]


def price_books(plugins: Plugins) -> PriceBooks:
    """Make the price books of all plugins. One that cannot be made leaves no cost certain, so nothing goes on without it."""
    books: list[Prices] = []
    for book in plugins.prices():
        with wall(book, "when it was made"):
            books.append(book())
    return PriceBooks(books)


def _asked_price(book: Prices, model: str) -> Price | None:
    doing = f"when it was asked for the price of {model}"
    with wall(book, doing):
        price = book.price(model)
    if not isinstance(price, Price | None):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
        raise misgiven(book, doing, price, "a `Price`, or None")
    return price


def _silent(_event: Event) -> None:
    """Nobody listens."""


async def _fingerprint(parts: Parts, last: Run | None) -> str | None:
    """Ask the source what it holds now; not where a run has read it to its end, for it may be edited or gone since."""
    if last is not None and last.state in OPEN and last.read_all:
        return last.fingerprint
    source = parts.source
    try:
        ask, within = source.fingerprint, parts.rules.plugin_timeout
        return await asked(source, "when it was asked for its fingerprint", ask, within=within, where=where_of(source))
    except errors.PluginError as error:
        raise of_job(parts.name, error) from error


async def _wake(kit: Kit) -> None:
    """Write down by what rules a run goes on, its budget among them, and take it out of its pause."""
    run = await kit.current()
    if run.summary != kit.parts.rules.summary:
        await kit.commit(Put(msgspec.structs.replace(run, version=run.version + 1, summary=kit.parts.rules.summary)))
    if run.state in {RunState.PAUSED, RunState.FAILED}:
        await kit.step_run(Resumed(), kit.event("run.resumed", run.id, f"it was {run.state}: {run.why}"))


async def _wish_to_cancel(kit: Kit) -> None:
    """Let the driver that is about to begin hear it as it hears every wish; one that may not begin never hears of it."""
    await kit.commit(Put(Wish(id=kit.fresh(), run=kit.run, verb="cancel", at=kit.now())))


async def _renew(kit: Kit, *, config: str, fingerprint: str | None) -> None:
    """Write down what a run that has not read anything yet is about to read."""
    run = await kit.current()
    if (run.config, run.fingerprint) != (config, fingerprint) and not run.read_all:
        await kit.commit(
            Put(msgspec.structs.replace(run, version=run.version + 1, config=config, fingerprint=fingerprint))
        )


def _changed(run: Run, what: str, books: Mapping[str, int]) -> errors.RunRefused:
    again = "pays for everything again" if books["intents"] else "begins afresh: nothing of it was sent yet"
    if what == "source":
        text = (
            f"the source of run {run.id} was edited in mid-run, so what was read and what was not cannot be told apart"
        )
        return errors.RunRefused(
            text,
            hint=f"put the old file back and run again; `batchflow cancel {run.id[:16]}` ends it and keeps what is paid for; `--new` {again}",
        )
    text = f"the job was changed in the middle of run {run.id} ({run.state})"
    hint = f"undo the change and run again to finish it; `batchflow cancel {run.id[:16]}` ends it; `--new` {again}"
    return errors.RunRefused(text, hint=hint)
