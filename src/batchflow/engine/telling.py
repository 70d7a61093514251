"""Telling people outside how a run stands, beside its driver: nothing here holds a run up, and nothing fails one.

The outbox is what is stored anyway: the event that was committed with the run's change. What a notifier was told of is marked
by an event of its own, so a process that is killed in between leaves something to tell, which whoever takes the run up
next tells first, under the same id. At least once, therefore; the id is how a receiver knows that it heard of it before.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import anyio

from batchflow.machine.backoff import backoff
from batchflow.model.errors import BatchflowError, NotifyError, NotifyRefused
from batchflow.model.money import DOLLAR
from batchflow.model.notification import Kind, Notification
from batchflow.model.state import Event, Run
from batchflow.ports.clock import Clock
from batchflow.stages.kit import Kit, Listener
from batchflow.stages.wall import blame

NEWS: Mapping[str, Kind] = {"run.done": "finished", "run.paused": "paused", "run.failed": "failed"}
TURNS = (*NEWS, "run.started", "run.resumed", "run.canceling", "run.retried", "run.replayed")
"""Events after which a run stands differently: only the last of them is worth telling late."""
DEAD_LETTERS = "run.dead_letters"
TOLD, UNTOLD = "notify.told", "notify.failed"
COUNTS = (
    "read", "skipped", "duplicate", "unbuildable", "rows", "waiting", "in_flight", "collected", "delivered", "dead",
    "canceled",
)  # fmt: skip
SHORT = 16


class Inbox:
    """What is to be told, in order; whoever puts something in never waits."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self._bell = anyio.Event()
        self._is_closed = False

    def put(self, event: Event) -> None:
        """Add one."""
        self._waiting.append(event)
        self._bell.set()

    def close(self) -> None:
        """Say that nothing more will come."""
        self._is_closed = True
        self._bell.set()

    async def take(self) -> AsyncGenerator[Event]:
        """Give one after the other, until it is closed and empty."""
        while self._waiting or not self._is_closed:
            self._bell = anyio.Event()
            while self._waiting:
                yield self._waiting.popleft()
            if not self._is_closed:
                await self._bell.wait()

    def clear(self) -> None:
        """Throw away what waits."""
        self._waiting.clear()


class Telling:
    """What is told of one run, to each of the job's listeners by itself: one that hangs keeps no other from hearing."""

    def __init__(self, kit: Kit, clock: Clock) -> None:
        self._kit = kit
        self._clock = clock
        self._listeners = kit.parts.listeners
        self._inboxes = {one.name: Inbox() for one in self._listeners}
        self._changes = Inbox()
        self._noticed: set[str] = set()
        """Who was told of dead letters in this run before, or is about to be."""
        self.untold: list[str] = []
        """What could not be told, and why."""

    def overhearing(self, told: Callable[[Event], None]) -> Callable[[Event], None]:
        """Hear what is told elsewhere of each commit."""
        if not self._listeners:
            return told

        def both(event: Event) -> None:
            told(event)
            self._heard(event)

        return both

    @asynccontextmanager
    async def beside(self) -> AsyncGenerator[None]:
        """Tell while something else is done, and in the end what is left, as long as each listener's patience lasts."""
        if not self._listeners:
            yield
            return
        await self._catch_up()
        failed: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_dead_letters)
            for listener in self._listeners:
                tasks.start_soon(self._serve, listener)
            try:
                yield
            except Exception as error:  # noqa: BLE001 - what broke the run is told too, and raised as it was, in no group
                failed.append(error)
            self._changes.close()
        for error in failed:
            raise error

    def _heard(self, event: Event) -> None:
        if event.kind in NEWS:
            self._pass_on(event)
        self._changes.put(event)

    def _pass_on(self, event: Event) -> None:
        for listener in self._listeners:
            if NEWS[event.kind] in listener.on:
                self._inboxes[listener.name].put(event)

    async def _catch_up(self) -> None:
        """Find what was committed and perhaps not told before a process died."""
        turns = await self._kit.store.find(Event, {"run": self._kit.run, "kind": TURNS}, limit=1, newest=True)
        for event in turns:
            if event.kind in NEWS:
                self._pass_on(event)
        for event in await self._events(DEAD_LETTERS):
            if event.subject in self._inboxes:
                self._noticed.add(event.subject)
                self._inboxes[event.subject].put(event)

    async def _watch_dead_letters(self) -> None:
        """Look at the books when something was committed, and say once a run and listener that there are too many dead letters."""
        watching = [one for one in self._listeners if "dead" in one.on and one.name not in self._noticed]
        async for _ in self._changes.take():
            self._changes.clear()  # one look will do for all of them
            if watching:
                watching = await self._looked(watching)
        for inbox in self._inboxes.values():
            inbox.close()

    async def _looked(self, watching: Sequence[Listener]) -> list[Listener]:
        try:
            books = await self._kit.store.books(self._kit.run)
            for listener in watching:
                if listener.dead.crossed(books):
                    note = self._kit.event(DEAD_LETTERS, listener.name, _dead_letters(books))
                    await self._kit.record(note)
                    self._inboxes[listener.name].put(cast("Event", note.fact))
        except BatchflowError:
            return list(watching)  # the driver meets the same trouble, and knows what to do about it
        return [one for one in watching if not one.dead.crossed(books)]

    async def _serve(self, listener: Listener) -> None:
        async for event in self._inboxes[listener.name].take():
            try:
                await self._tell(listener, event)
            except BatchflowError as error:
                self.untold.append(f"{listener.name}: {error.message}")
        await self._close(listener)

    async def _close(self, listener: Listener) -> None:
        try:
            await listener.notifier.close()
        except Exception as error:  # noqa: BLE001 - it is not our code, and it must not fail a run
            self.untold.append(blame(listener.notifier, "while it was closed", error).message)

    async def _tell(self, listener: Listener, event: Event) -> None:
        """Tell one thing, unless it was told, and mark what came of it."""
        subject = f"{listener.name}/{event.id}"
        if any(mark.subject == subject for mark in await self._events(TOLD, UNTOLD)):
            return
        why = await self._told(listener, await self._notification(event))
        if why:
            self.untold.append(f"{listener.name} was not told that the run {_said(event)}: {why}")
        await self._kit.record(self._kit.event(UNTOLD if why else TOLD, subject, why))

    async def _told(self, listener: Listener, notification: Notification) -> str:
        """Try until it is told, cannot be, or patience is at its end; say why not."""
        until, tries, why = self._clock.boot() + listener.patience, 0, "it did not answer"
        while (left := until - self._clock.boot()) > 0:
            try:
                with anyio.fail_after(left):
                    await listener.notifier.notify(notification)
            except NotifyError as error:
                why = error.message
                if isinstance(error, NotifyRefused):
                    return why
                await self._clock.sleep(min(max(backoff(tries), error.after), until - self._clock.boot()))
                tries += 1
            except TimeoutError:
                break
            except Exception as error:  # noqa: BLE001 - it is not our code, and it must not fail a run
                return blame(listener.notifier, f"while it told of job {notification.job}", error).message
            else:
                return ""
        return f"{why} (given up after {listener.patience:g} s)"

    async def _notification(self, event: Event) -> Notification:
        run = await self._kit.current()
        books = await self._kit.store.books(run.id)
        kind = NEWS.get(event.kind, "dead")
        status = _status(event, run)
        return Notification(
            id=f"msg_{event.id}", kind=kind, at=event.at, job=run.job, run=run.id, status=status, reason=event.text,
            counts={name: books[name] for name in COUNTS},
            money={"paid": books["paid"] / DOLLAR, "listed": books["listed"] / DOLLAR, "waste": books["waste"] / DOLLAR},
            next=_next(kind, run, books),
        )  # fmt: skip

    async def _events(self, *kinds: str) -> Sequence[Event]:
        return await self._kit.store.find(Event, {"run": self._kit.run, "kind": kinds})


def _status(event: Event, run: Run) -> str:
    match event.kind:
        case "run.done":
            return "canceled" if event.data.get("canceled") else "done"
        case "run.paused" | "run.failed":
            return event.kind.removeprefix("run.")
        case _:
            return run.state


def _said(event: Event) -> str:
    return {"run.done": "is finished", "run.paused": "is paused", "run.failed": "failed"}.get(
        event.kind, "has many dead letters"
    )


def _dead_letters(books: Mapping[str, int]) -> str:
    dead = books["dead"] + books["unbuildable"]
    return f"{dead} of {books['rows'] + books['unbuildable']} rows so far are dead letters"


def _next(kind: Kind, run: Run, books: Mapping[str, int]) -> str:
    short = run.id[:SHORT]
    match kind:
        case "paused" | "failed":
            return f"batchflow resume {short}"
        case "finished" if not (books["dead"] or books["unbuildable"] or books["canceled"]):
            return ""
        case _:
            return f"batchflow report {short}"
