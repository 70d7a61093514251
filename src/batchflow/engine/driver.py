"""The driver: one loop that asks the store what is due, and starts the stages that do it.

There is no recovery mode. The loop asks the same question after a crash as after a nap; the only thing done first is to
look again at whatever waited for somebody (`stages.reopen`).
"""

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import anyio
import msgspec
from anyio.abc import TaskGroup

from batchflow.engine.lease import DriverLease
from batchflow.engine.trouble import Trouble
from batchflow.machine.batch import AT_PROVIDER, TERMINAL
from batchflow.machine.run import LIVE, Broke, CancelWished, Paused, Settled
from batchflow.model import errors
from batchflow.model.change import Put
from batchflow.model.state import Batch, BatchState, Delivery, DeliveryState, Due, Run, RunState, Wish
from batchflow.model.words import Word
from batchflow.ports.clock import Clock
from batchflow.stages.cancel import cancel_waiting
from batchflow.stages.collect import collect
from batchflow.stages.deliver import deliver
from batchflow.stages.draft import Reader
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit
from batchflow.stages.lookout import Lookout
from batchflow.stages.poll import poll
from batchflow.stages.repack import ready, repack, waiting
from batchflow.stages.resolve import resolve
from batchflow.stages.submit import pause, submit

Work: TypeAlias = Callable[[], Awaitable[object]]

READ_AHEAD = 2
"""Drafted batches that may wait to be sent: reading further would only fill the disk."""
SUBMITS = 2
LISTEN = 0.5
"""How often wishes typed elsewhere are looked for."""
IDLE = 0.25
AGENDA = 200
OPEN_STATES = [state for state in BatchState if state not in TERMINAL and state is not BatchState.HELD]
MOVING_STATES = [state for state in OPEN_STATES if state is not BatchState.COLLECTED]


class Driver:
    """Drives one run until it is done, paused, stopped, or has to wait longer than it is allowed to."""

    def __init__(
        self, kit: Kit, lease: DriverLease, clock: Clock, reader: Reader | None, *, wait: float | None
    ) -> None:
        self._kit = kit
        self._lease = lease
        self._clock = clock
        self._reader = reader
        self._outlets = {outlet.name: outlet for outlet in kit.parts.outlets}
        self._hands: set[str] = set()
        """The steps being done, one name each; a step is never begun twice at once."""
        self._bell = anyio.Event()
        self._stopping = False
        self._leave_at = None if wait is None else clock.boot() + wait
        self._failure: errors.BatchflowError | None = None
        self._trouble = Trouble(kit.parts.rules.submit.patience)
        self._lookout = Lookout()
        self._hurry = False
        """A cancellation should reach the provider now, not when the next look is due."""
        self._evidence = Evidence()

    def stop(self) -> None:
        """Begin nothing more; finish the steps in hand. The run stays as it is, to be picked up again."""
        self._stopping = True
        self._bell.set()

    async def drive(self) -> Run:
        """Go round until there is nothing more to do here; raise what broke the run."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._lease.keep, self._lost)
            await self._loop(tasks)
            tasks.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        return await self._kit.current()

    def _lost(self, error: errors.Locked) -> None:
        self._failure = error
        self.stop()

    async def _loop(self, tasks: TaskGroup) -> None:
        while True:
            self._bell = anyio.Event()
            run = await self._obey()
            started = False
            if not self._stopping and run.state in LIVE:
                started = await self._start_due(run, tasks)
            if not self._hands and (self._stopping or run.state not in LIVE or await self._at_rest(run)):
                return
            if not started:
                await self._nap()

    async def _nap(self) -> None:
        """Sleep until a step is done, something is due, or it is time to listen again."""
        now = self._clock.now()
        wake = await self._kit.store.next_wake(self._kit.run)
        delay = IDLE if wake is None or wake <= now else wake - now
        async with anyio.create_task_group() as nap:
            nap.start_soon(self._alarm, min(delay, LISTEN), nap.cancel_scope)
            await self._bell.wait()
            nap.cancel_scope.cancel()

    async def _alarm(self, seconds: float, scope: anyio.CancelScope) -> None:
        await self._clock.sleep(seconds)
        scope.cancel()

    async def _obey(self) -> Run:
        """Do what operators asked for, and note when this process has waited long enough."""
        kit = self._kit
        for wish in await kit.store.find(Wish, {"run": kit.run, "done_at": None}):
            run = await kit.current()
            done = Put(msgspec.structs.replace(wish, version=wish.version + 1, done_at=kit.now()))
            if wish.verb == "cancel" and not run.cancel and run.state in LIVE:
                await kit.step_run(
                    CancelWished(), done, kit.event("run.canceling", kit.run, "asked for by an operator")
                )
                self._hurry = True
            elif wish.verb == "pause" and run.state in LIVE:
                await kit.step_run(
                    Paused("paused by an operator"), done, kit.event("run.paused", kit.run, "by an operator")
                )
            else:
                await kit.commit(done)
        run = await kit.current()
        if self._leave_at is not None and await self._may_leave(run):
            self._stopping = True
        return run

    async def _may_leave(self, run: Run) -> bool:
        """Leave when the time is up, but not before everything that was read is at the provider."""
        if self._leave_at is None or self._clock.boot() < self._leave_at:
            return False
        unsent = [BatchState.DRAFTED, BatchState.SUBMITTING, BatchState.IN_DOUBT]
        return run.read_all and not await self._kit.store.find(Batch, {"run": run.id, "state": unsent}, limit=1)

    async def _start_due(self, run: Run, tasks: TaskGroup) -> bool:
        """Begin every step that is due and has a free hand; tell whether any was begun."""
        before = len(self._hands)
        now = self._clock.now()
        flying = len(await self._kit.store.find(Batch, {"run": run.id, "state": AT_PROVIDER}))
        await self._start_reading(run, tasks)
        for due in await self._kit.store.due(run.id, now, AGENDA):
            work = await self._work(due, flying)
            if work is not None:
                flying += work[0].startswith("submit")
                self._start(tasks, *work)
        if self._hurry and "poll" not in self._hands:
            self._hurry = False
            self._start(tasks, "poll", partial(poll, self._kit, self._lookout, soon=math.inf))
        await self._start_repacking(run, tasks, now)
        return len(self._hands) > before

    async def _start_reading(self, run: Run, tasks: TaskGroup) -> None:
        if run.state is not RunState.RUNNING or self._reader is None or "read" in self._hands:
            return
        drafted = await self._kit.store.find(Batch, {"run": run.id, "state": BatchState.DRAFTED}, limit=READ_AHEAD)
        if len(drafted) < READ_AHEAD:
            self._start(tasks, "read", self._reader.next_pack)

    async def _start_repacking(self, run: Run, tasks: TaskGroup, now: float) -> None:
        if "repack" in self._hands:
            return
        setbacks = await waiting(self._kit)
        if not setbacks:
            return
        if run.cancel:
            self._start(tasks, "repack", partial(cancel_waiting, self._kit))
            return
        flying = await self._kit.store.find(Batch, {"run": run.id, "state": MOVING_STATES}, limit=1)
        rules = self._kit.parts.rules
        alone = run.read_all and not flying
        chosen = ready(setbacks, now=now, most=rules.batch.max_requests, after=rules.retry.after, alone=alone)
        if chosen:
            self._start(tasks, "repack", partial(repack, self._kit, chosen))

    async def _work(self, due: Due, flying: int) -> tuple[str, Work] | None:
        """Name the step that a due thing asks for; None when no hand is free for it."""
        if due.kind == "delivery":
            return await self._delivery(due.id)
        if due.kind != "batch":
            return None
        batch = await self._kit.batch(due.id)
        named = self._step(batch, flying)
        return named if named is not None and named[0] not in self._hands else None

    def _step(self, batch: Batch, flying: int) -> tuple[str, Work] | None:
        kit = self._kit
        if self._clock.now() < self._trouble.not_before:
            return None
        match batch.state:
            case BatchState.DRAFTED:
                sending = sum(name.startswith("submit/") for name in self._hands)
                if sending >= SUBMITS or flying >= kit.parts.rules.submit.in_flight:
                    return None
                return f"submit/{batch.id}", partial(submit, kit, batch.id, self._lookout)
            case BatchState.IN_DOUBT:
                return "resolve", partial(resolve, kit, self._evidence)
            case BatchState.RUNNING | BatchState.CANCELING:
                return "poll", partial(poll, kit, self._lookout)
            case BatchState.ENDED:
                return "collect", partial(collect, kit, batch.id, self._evidence)
            case _:
                return None

    async def _delivery(self, id: str) -> tuple[str, Work] | None:
        delivery = await self._kit.store.get(Delivery, id)
        outlet = self._outlets.get(delivery.sink) if delivery is not None else None
        if outlet is None or f"deliver/{outlet.name}" in self._hands:
            return None
        return f"deliver/{outlet.name}", partial(deliver, self._kit, id, outlet)

    def _start(self, tasks: TaskGroup, name: str, work: Work) -> None:
        self._hands.add(name)
        tasks.start_soon(self._do, name, work)

    async def _do(self, name: str, work: Work) -> None:
        """Do one step, and sort what goes wrong: for later, for a person, or for good."""
        try:
            await work()
            self._passed(name)
        except errors.Stale as error:
            # Somebody else changed it first, so the loop looks again. Only the reader cannot: what it took from the
            # source and did not commit is in nobody's hands, so reading begins again from the last commit, in a new drive.
            if name == "read":
                await self._broke(error)
        except errors.ProviderError as error:
            await self._troubled(error)
        except errors.Locked as error:
            self._lost(error)
        except errors.BatchflowError as error:
            await self._broke(error)
        finally:
            self._hands.discard(name)
            self._bell.set()

    def _passed(self, name: str) -> None:
        if name.startswith(("submit", "poll", "resolve", "collect")):
            self._trouble.passed()

    async def _troubled(self, error: errors.ProviderError) -> None:
        """Bear with a provider that does not answer, for as long as the job's patience lasts."""
        self._trouble.failed(error, self._clock.now())
        if error.word in {Word.UNAUTHORIZED, Word.NO_CREDIT}:
            await pause(self._kit, error)
            return
        fresh = not await self._kit.store.find(Batch, {"run": self._kit.run, "state": AT_PROVIDER}, limit=1)
        if self._trouble.unbearable(self._clock.now(), fresh=fresh):
            await pause(self._kit, error)

    async def _broke(self, error: errors.BatchflowError) -> None:
        """End the run as failed, resumable; a store that cannot take even that changes nothing about the first error."""
        self._failure = self._failure or error
        self.stop()
        try:
            await self._kit.step_run(Broke(error.message), self._kit.event("run.failed", self._kit.run, error.message))
        except errors.BatchflowError:
            return

    async def _at_rest(self, run: Run) -> bool:
        """Tell whether nothing is left to do, and say so in the store: done, or paused because a person must decide."""
        kit = self._kit
        if not run.read_all:
            return False
        if await kit.store.find(Batch, {"run": run.id, "state": OPEN_STATES}, limit=1) and not await self._stuck(run):
            return False
        if await waiting(kit) or await kit.store.find(Delivery, {"run": run.id, "state": DeliveryState.DUE}, limit=1):
            return False
        if held := await kit.store.find(Batch, {"run": run.id, "state": BatchState.HELD}, limit=1):
            await kit.step_run(
                Paused(f"batch {held[0].id} is held: {held[0].why}"), kit.event("run.paused", run.id, "held")
            )
        elif parked := await kit.store.find(Delivery, {"run": run.id, "state": DeliveryState.PARKED}, limit=1):
            why = f"sink {parked[0].sink} cannot be written: {parked[0].why}"
            await kit.step_run(Paused(why, Word.SINK_ERROR), kit.event("run.paused", run.id, why))
        else:
            await kit.step_run(Settled(kit.now()), kit.event("run.done", run.id))
        return True

    async def _stuck(self, run: Run) -> bool:
        """Tell whether all that is open are collected batches whose parts are parked."""
        return not await self._kit.store.find(Batch, {"run": run.id, "state": MOVING_STATES}, limit=1)
