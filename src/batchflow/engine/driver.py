"""The driver: one loop that asks the store what is due, and starts the stages that do it.

There is no recovery mode. The loop asks the same question after a crash as after a nap; the only thing done first is to
look again at whatever waited for somebody (`stages.reopen`).
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import anyio
import anyio.lowlevel
import msgspec
from anyio.abc import TaskGroup

from batchflow.engine.lease import DriverLease
from batchflow.engine.mishaps import Mishaps
from batchflow.engine.nap import nap
from batchflow.engine.watchdog import Watchdog
from batchflow.machine.run import BY_OPERATOR, LIVE, CancelWished
from batchflow.model import errors
from batchflow.model.change import Put
from batchflow.model.state import Batch, BatchState, Delivery, Due, Outlook, Run, RunState, Wish
from batchflow.ports.clock import Clock
from batchflow.stages.cancel import cancel_waiting
from batchflow.stages.close import MOVING_STATES, at_rest, close
from batchflow.stages.collect import collect
from batchflow.stages.deliver import deliver
from batchflow.stages.doubt import SLEPT, doubt
from batchflow.stages.draft import Reader
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit
from batchflow.stages.lookout import Lookout
from batchflow.stages.poll import poll
from batchflow.stages.repack import ready, repack
from batchflow.stages.resolve import resolve
from batchflow.stages.rule import VERB as RULE
from batchflow.stages.rule import answer
from batchflow.stages.submit import submit

Work: TypeAlias = Callable[[], Awaitable[object]]

READ_AHEAD = 2
"""Drafted batches that may wait to be sent: reading further would only fill the disk."""
SUBMITS = 2
IDLE = 0.25
LONGEST = 5.0
"""How long to wait, at first and at most, where something is due that cannot begin: what frees it rings the bell."""
AGENDA = 200
FLYING = frozenset(MOVING_STATES) - {BatchState.DRAFTED, BatchState.ENDED}
"""States of batches that are at the provider, or may be. A held batch takes no place: it may wait for its person for days."""
SUBMIT, DELIVER = "submit/", "deliver/"
ASKING = ("poll", "resolve", "collect")
"""Steps that cannot end well unless the provider answered."""


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
        self._idle = 0
        """Rounds in a row that began nothing."""
        self._next_look = math.inf
        """When the next batch in flight is due."""
        self._next_wake: float | None = None
        """When anything is, as far as the last look told."""
        self._stopping = False
        self._leave_at = None if wait is None else clock.boot() + wait
        self._failure: errors.BatchflowError | None = None
        self._mishaps = Mishaps(kit, clock, lease, fail=self._fail, stick=self._stick)
        self._lookout = Lookout()
        self._hurry = wait is not None
        """Look at once, not when the next look is due: a cancellation should reach the provider, or somebody will not wait."""
        self._looked = False
        """This process has looked at what was in flight when it began."""
        self._evidence = Evidence()
        self._begun_at_rest: set[str] = set()
        """Parts whose delivery was begun while the run rested: each is tried once, and waits for nothing."""
        self._stuck = ""
        """Why no more can be packed; what is in flight comes home all the same."""
        parts = kit.parts
        asked = (parts.source, *(outlet.sink for outlet in parts.outlets))
        self._watchdog = Watchdog(parts.name, asked, self)

    def stop(self) -> None:
        """Begin nothing more; finish the steps in hand. The run stays as it is, to be picked up again."""
        self._stopping = True
        self._bell.set()

    async def drive(self) -> Run:
        """Go round until there is nothing more to do here; raise what broke the run."""
        with self._watchdog:
            await self._drive()
        if self._failure is not None:
            raise self._failure
        return await self._kit.current()

    async def _drive(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._lease.keep, self._fail)
            try:
                while await self._round(tasks):
                    pass
            except errors.BatchflowError as error:
                self._fail(error)
            await self._finish()
            tasks.cancel_scope.cancel()

    def _fail(self, error: errors.BatchflowError) -> None:
        """Begin nothing more; the first thing that went wrong is what is told."""
        self._failure = self._failure or error
        self.stop()

    def _stick(self, why: str) -> None:
        self._stuck = why

    async def _finish(self) -> None:
        """Let the steps in hand come to their ends: each leaves the store as it should be."""
        while self._hands:
            self._bell = anyio.Event()
            await self._bell.wait()

    async def _round(self, tasks: TaskGroup) -> bool:
        """Look once at what there is to do, and do it or wait; False when there is nothing more."""
        # Stores let nobody be cancelled in the middle of a commit, so a busy loop might never hear of it.
        await anyio.lowlevel.checkpoint_if_cancelled()
        self._bell = anyio.Event()
        started = False
        await self._write_down_what_blocked()
        try:
            run, seen = await self._obey(tasks)
            self._next_wake = seen.next_wake
            if not self._stopping and run.state in LIVE:
                started = await self._start_due(run, seen, tasks)
            elif not self._stopping and not run.by_operator:
                started = await self._deliver_collected(seen, tasks)
            if not self._hands and (
                self._stopping or run.state not in LIVE or await close(self._kit, run, self._stuck)
            ):
                return False
        except (errors.Stale, errors.IllegalTransition) as error:
            await self._mishaps.outdated(error)
        self._idle = 0 if started else self._idle + 1
        if not started:
            await nap(self._kit, self._clock, self._bell, self._rest())
        return True

    async def _write_down_what_blocked(self) -> None:
        while self._watchdog.found:
            await self._kit.commit(self._kit.event("loop.blocked", self._kit.run, self._watchdog.found.pop(0)))

    def _rest(self) -> float:
        """Say how long nothing can begin by itself, as far as can be known."""
        now = self._clock.now()
        waits = [self._mishaps.not_before - now, self._next_look - now]
        if self._reader is not None:
            waits.append(self._reader.resting_until - now)
        if self._leave_at is not None:
            waits.append(self._leave_at - self._clock.boot())
        if self._next_wake is not None:
            waits.append(self._next_wake - now)
        if self._next_wake is None or self._next_wake <= now:
            waits.append(min(IDLE * 2 ** min(self._idle - 1, 10), LONGEST))
        return min(wait for wait in waits if wait > 0)

    async def _obey(self, tasks: TaskGroup) -> tuple[Run, Outlook]:
        """Look, do what operators asked for, and note when this process has waited long enough."""
        kit = self._kit
        run, seen = await kit.outlook(MOVING_STATES, AGENDA)
        for wish in seen.wishes:
            run = await kit.current()
            done = Put(msgspec.structs.replace(wish, version=wish.version + 1, done_at=kit.now()))
            if wish.verb == "cancel" and not run.cancel:
                await kit.step_run(
                    CancelWished(), done, kit.event("run.canceling", kit.run, "asked for by an operator")
                )
                self._hurry = True
            elif wish.verb == "pause" and run.state in LIVE:
                await kit.halt(BY_OPERATOR, done)
            elif wish.verb == RULE:
                self._start_ruling(tasks, wish)
            else:
                await kit.commit(done)
        if seen.wishes:
            run, seen = await kit.outlook(MOVING_STATES, AGENDA)
        if await self._may_leave(run, seen):
            self._stopping = True
        return run, seen

    def _start_ruling(self, tasks: TaskGroup, wish: Wish) -> None:
        """Rule on what is in doubt, and never while it is looked for: both would judge the same batches."""
        if "resolve" not in self._hands and not self._stopping:
            self._start(tasks, "resolve", partial(answer, self._kit, wish, self._evidence))

    @property
    def _is_leaving(self) -> bool:
        return self._leave_at is not None and self._clock.boot() >= self._leave_at

    async def _may_leave(self, run: Run, seen: Outlook) -> bool:
        """Leave when the time is up, but not before all that can be sent is sent, and what has come home is brought in.

        Else nobody would ever fetch what was paid for, where every command of a timetable leaves at once.
        """
        if not self._is_leaving or not run.read_all or not self._looked or self._hands - {"poll"}:
            return False
        unsent = {BatchState.DRAFTED, BatchState.SUBMITTING, BatchState.IN_DOUBT}
        if any(batch.state in unsent for batch in seen.moving):
            return False
        now = self._clock.now()
        busy = await self._has_come_home(seen, now) or self._to_repack(run, seen, now) or await at_rest(self._kit)
        return not busy  # at rest there is nothing to leave, and the run comes to its end

    async def _has_come_home(self, seen: Outlook, now: float) -> bool:
        """Tell whether answers wait that could be fetched or delivered now."""
        if now >= self._mishaps.not_before:
            ended = [batch.wake_at for batch in seen.moving if batch.state is BatchState.ENDED]
            if any(wake is not None and wake <= now for wake in ended):
                return True
        parts = [due.id for due in seen.due if due.kind == "delivery"]
        return any(delivery.sink in self._outlets for delivery in await self._kit.store.find(Delivery, {"id": parts}))

    async def _start_due(self, run: Run, seen: Outlook, tasks: TaskGroup) -> bool:
        """Begin every step that is due and has a free hand; tell whether any was begun."""
        before = len(self._hands)
        now = self._clock.now()
        moving = {batch.id: batch for batch in seen.moving}
        looks = [batch.wake_at for batch in moving.values() if batch.wake_at is not None and batch.wake_at > now]
        self._next_look = min(looks, default=math.inf)
        self._start_reading(run, tasks, moving)
        self._start_moving(tasks, moving, now)
        await self._start_agenda(seen.due, tasks, moving)
        if self._hurry and "poll" not in self._hands:
            self._hurry = False
            self._start(tasks, "poll", partial(poll, self._kit, self._lookout, self._evidence, soon=math.inf))
        self._start_repacking(run, seen, tasks, now)
        return len(self._hands) > before

    async def _deliver_collected(self, seen: Outlook, tasks: TaskGroup) -> bool:
        """Bring what is collected to its sinks though the run rests, since it is paid for."""
        before = len(self._hands)
        for due in seen.due:
            if due.kind == "delivery" and due.id not in self._begun_at_rest:
                begun = len(self._hands)
                await self._start_delivery(tasks, due.id)
                if len(self._hands) > begun:
                    self._begun_at_rest.add(due.id)
        return len(self._hands) > before

    def _start_moving(self, tasks: TaskGroup, moving: Mapping[str, Batch], now: float) -> None:
        """Look first at what is in flight: no queue of drafts or parts, however long, may keep anybody from that."""
        for batch in moving.values():
            if batch.state is BatchState.SUBMITTING and SUBMIT + batch.id not in self._hands:
                # Its step could not say what became of the call, for the lease had lapsed: nobody else ever will.
                self._start(tasks, SUBMIT + batch.id, partial(doubt, self._kit, batch, SLEPT))
            if batch.state is not BatchState.DRAFTED and batch.wake_at is not None and batch.wake_at <= now:
                self._start_batch(tasks, batch, moving)

    async def _start_agenda(self, agenda: Sequence[Due], tasks: TaskGroup, moving: Mapping[str, Batch]) -> None:
        """Begin what has waited longest; where none of it can begin, look further down the list."""
        before, limit = len(self._hands), AGENDA
        while True:
            for due in agenda:
                if due.kind == "delivery":
                    await self._start_delivery(tasks, due.id)
                elif due.kind == "batch" and due.id in moving:
                    self._start_batch(tasks, moving[due.id], moving)
            if len(self._hands) > before or len(agenda) < limit:
                return
            limit *= 8
            _, seen = await self._kit.outlook((), limit)
            agenda = seen.due

    def _start_reading(self, run: Run, tasks: TaskGroup, moving: Mapping[str, Batch]) -> None:
        if run.state is not RunState.RUNNING or self._reader is None or "read" in self._hands or self._stuck:
            return
        if self._clock.now() < self._reader.resting_until:
            return
        drafted = sum(batch.state is BatchState.DRAFTED for batch in moving.values())
        if drafted < READ_AHEAD:
            self._start(tasks, "read", self._reader.next_pack)

    def _start_repacking(self, run: Run, seen: Outlook, tasks: TaskGroup, now: float) -> None:
        work = self._to_repack(run, seen, now)
        if work is not None and "repack" not in self._hands:
            self._start(tasks, "repack", work)

    def _to_repack(self, run: Run, seen: Outlook, now: float) -> Work | None:
        """Say what is to be done about the rows that wait to be asked again; None when that is nothing now."""
        if seen.waiting and run.cancel:
            return partial(cancel_waiting, self._kit)
        if not seen.waiting or self._stuck:
            return None
        rules = self._kit.parts.rules
        # Company may still come from what has ended; whoever leaves does not wait for what is at the provider.
        company = [batch for batch in seen.moving if not self._is_leaving or batch.state is BatchState.ENDED]
        alone = run.read_all and not company
        chosen = ready(seen.waiting, now=now, most=rules.batch.max_requests, after=rules.retry.after, alone=alone)
        return partial(repack, self._kit, chosen) if chosen else None

    def _start_batch(self, tasks: TaskGroup, batch: Batch, moving: Mapping[str, Batch]) -> None:
        named = self._step(batch, moving)
        if named is not None and named[0] not in self._hands:
            self._start(tasks, *named)

    def _step(self, batch: Batch, moving: Mapping[str, Batch]) -> tuple[str, Work] | None:
        """Name the step that a batch is due for; None when no hand is free for it."""
        kit = self._kit
        if self._clock.now() < self._mishaps.not_before:
            return None
        match batch.state:
            case BatchState.DRAFTED:
                if not self._may_submit(moving):
                    return None
                return f"submit/{batch.id}", partial(submit, kit, batch.id, self._lookout, self._evidence)
            case BatchState.IN_DOUBT:
                return "resolve", partial(resolve, kit, self._evidence)
            case BatchState.RUNNING | BatchState.CANCELING:
                return "poll", partial(poll, kit, self._lookout, self._evidence)
            case BatchState.ENDED:
                return "collect", partial(collect, kit, batch.id, self._evidence)
            case _:
                return None

    def _may_submit(self, moving: Mapping[str, Batch]) -> bool:
        """Tell whether another batch may be sent: few at once, and not more in flight than the job wants."""
        sending = {name for name in self._hands if name.startswith(SUBMIT)}
        begun = sum(batch.state is BatchState.DRAFTED and SUBMIT + batch.id in sending for batch in moving.values())
        flying = sum(batch.state in FLYING for batch in moving.values())
        return len(sending) < SUBMITS and flying + begun < self._kit.parts.rules.submit.in_flight

    async def _start_delivery(self, tasks: TaskGroup, id: str) -> None:
        if all(DELIVER + name in self._hands for name in self._outlets):
            return
        delivery = await self._kit.store.get(Delivery, id)
        outlet = self._outlets.get(delivery.sink) if delivery is not None else None
        if outlet is not None and DELIVER + outlet.name not in self._hands:
            self._start(tasks, DELIVER + outlet.name, partial(deliver, self._kit, id, outlet))

    def _start(self, tasks: TaskGroup, name: str, work: Work) -> None:
        self._hands.add(name)
        tasks.start_soon(self._do, name, work)

    async def _do(self, name: str, work: Work) -> None:
        """Do one step, whatever comes of it."""
        try:
            await work()
            if name in ASKING:
                await self._mishaps.answered(name)
        except anyio.get_cancelled_exc_class():
            self.stop()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not tear the other steps down with it
            await self._mishaps.sort(name, error)
        finally:
            self._looked = self._looked or name == "poll"
            self._hands.discard(name)
            self._bell.set()
