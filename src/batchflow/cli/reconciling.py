"""Settling batches whose fate is unknown, from the command line: through the run's driver, or under its lease."""

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import msgspec

from batchflow.cli import failures
from batchflow.cli.account import account_of
from batchflow.cli.exits import Exit
from batchflow.cli.looking import opened_store
from batchflow.cli.opening import Workshop, file_of, read_jobs
from batchflow.cli.output import BOLD, data, facts, remark, styled
from batchflow.cli.place import found
from batchflow.cli.wishes import answered, driver_of, wish, withdraw
from batchflow.config.plugging import plugins_for
from batchflow.machine.ruling import Absent, Adopt, Claim, GiveUp, Ruling
from batchflow.machine.run import OPEN
from batchflow.model.errors import BatchflowError, Locked, UserError
from batchflow.model.state import BatchState, Event, Lease, Run
from batchflow.ports.state import StateStore
from batchflow.reports.doubts import Doubt, batch_of, doubtful_runs, doubts
from batchflow.reports.runs import SHORT, find_run
from batchflow.reports.watched import Watched, is_watched, watched
from batchflow.stages.rule import VERB, Answer, Said

FOUND = ("batch.resolved.running", "batch.twin", "batch.late")
"""Events of a batch that was looked for and is there."""


class Typed(msgspec.Struct, frozen=True):
    """What was typed: batches by the start of their ids, remote batches by their whole ids."""

    absent: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()
    give_up: tuple[str, ...] = ()
    batch_id: tuple[str, ...] = ()

    @property
    def first_batch(self) -> str:
        """Name any batch of ours, for the run is known by it."""
        return next(iter((*self.absent, *self.give_up, *(pair.partition("=")[0] for pair in self.adopt))), "")


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    run: str | None
    said: tuple[Said, ...] = ()
    blind: str = ""
    found: tuple[str, ...] = ()
    """What this look has found out about batches of the run, and what it cost."""
    doubts: tuple[Doubt, ...] = ()
    turned_up: int = 0
    """Requests in flight again of a run that had ended: a batch of it turned up, and its answers are paid for."""
    elsewhere: tuple[str, ...] = ()
    """Other runs with a batch in doubt or held."""
    watched: tuple[Watched, ...] = ()
    """Lost calls, of this run or where none is meant of all, that may still turn out to have made a batch."""
    next: str = ""
    """What to type now."""


async def reconcile(wanted: str, batch: str, typed: Typed, *, json: bool, state: Path | None) -> Exit:
    """Find out and obey; then say what is still unclear."""
    place = found(state)
    async with opened_store(place) as store:
        doubtful = await doubtful_runs(store)
        run = await _meant(store, wanted, batch, typed, doubtful)
        if run is None:
            return _tell(Reconciled(run=None, watched=tuple(await watched(store, now=time.time()))), json=json)
        rulings = await _rulings(store, run, typed)
        before = await store.find(Event, {"run": run.id}, limit=1, newest=True)
        unclear = run.id in {one.id for one in doubtful} or await is_watched(store, run, now=time.time())
        answer = await _answer(store, place, run, rulings) if rulings or unclear else Answer()
        left = await doubts(
            store, run, None if answer.blind else answer.candidates, here=partial(account_of, run, place)
        )
        only = (await batch_of(store, batch, {"run": run.id})).id if batch else ""
        reconciled = Reconciled(
            run=run.id,
            said=answer.said,
            blind=answer.blind,
            found=tuple([text async for text in _found(store, run, after=before[0].id if before else "")]),
            doubts=tuple(doubt for doubt in left if doubt.batch.startswith(only)),
            turned_up=await _turned_up(store, run),
            elsewhere=tuple(other.id for other in doubtful if other.id != run.id),
            watched=tuple(await watched(store, run, now=time.time())),
            next=await _next(store, run, left),
        )
    return _tell(reconciled, json=json)


async def _next(store: StateStore, run: Run, left: list[Doubt]) -> str:
    """Say what goes on with a run that nobody drives; while something is held, a word about it comes first."""
    now = await store.get(Run, run.id) or run
    stands = now.state in OPEN and await driver_of(store, run) is None
    return f"batchflow resume {run.id[:SHORT]}" if stands and all(one.state != BatchState.HELD for one in left) else ""


async def _found(store: StateStore, run: Run, *, after: str) -> AsyncGenerator[str]:
    """Tell what was written down since: a batch that was found, or one that turned up and is paid for."""
    for event in await store.find(Event, {"run": run.id, "kind": FOUND}, after=after):
        yield f"batch {event.subject[:SHORT]}: {event.text}"


async def _turned_up(store: StateStore, run: Run) -> int:
    """Count what is in flight of a run that was over before somebody looked."""
    now = await store.get(Run, run.id) or run
    return (await store.books(run.id))["in_flight"] if run.state not in OPEN and now.state in OPEN else 0


async def _meant(store: StateStore, wanted: str, batch: str, typed: Typed, doubtful: list[Run]) -> Run | None:
    """Find the run: named, or that of a batch which is named, or the newest with a doubt."""
    if wanted:
        return await find_run(store, wanted)
    if name := batch or typed.first_batch:
        return await store.get(Run, (await batch_of(store, name, {})).run)
    if typed.batch_id and not doubtful:
        return await find_run(store, "")
    return doubtful[0] if doubtful else None


async def _rulings(store: StateStore, run: Run, typed: Typed) -> list[Ruling]:
    """Bind each word to the call it is about, as that is at this moment."""
    here = {"run": run.id}
    rulings: list[Ruling] = []
    for name in typed.absent:
        batch = await batch_of(store, name, here)
        rulings.append(Absent(batch.id, batch.token))
    for pair in typed.adopt:
        name, equals, remote = pair.partition("=")
        if not (name and equals and remote):
            raise UserError(f"`--adopt {pair}` is not understood", hint="it is written `--adopt BATCH=msgbatch_...`")
        batch = await batch_of(store, name, here)
        rulings.append(Adopt(batch.id, batch.token, remote))
    for name in typed.give_up:
        batch = await batch_of(store, name, here)
        rulings.append(GiveUp(batch.id, batch.token))
    return [*rulings, *map(Claim, typed.batch_id)]


async def _answer(store: StateStore, place: Path, run: Run, rulings: list[Ruling]) -> Answer:
    """Have it done by the driver if there is one, else do it; where only looking was asked, being unable is no failure."""
    lease = await driver_of(store, run)
    if lease is not None:
        return await _told(store, run, rulings, lease)
    try:
        return await _done_here(place, run, rulings)
    except BatchflowError as error:
        if rulings:
            raise
        failures.say(error)
        return Answer(blind=error.message)


async def _told(store: StateStore, run: Run, rulings: list[Ruling], lease: Lease) -> Answer:
    made = await wish(store, run, VERB, {"rulings": msgspec.to_builtins(rulings)})
    done = await answered(store, made)
    if done is not None:
        remark(f"done by the driver (pid {lease.pid} on {lease.host})")
        return msgspec.convert(done.data["answer"], Answer)
    await withdraw(store, made)
    raise Locked(
        f"run {run.id[:SHORT]} is held by pid {lease.pid} on {lease.host}, which does not answer",
        hint="if that process is dead, its hold ends within a minute: type it again then",
    )


async def _done_here(place: Path, run: Run, rulings: list[Ruling]) -> Answer:
    path = file_of(run, place)
    plugins = plugins_for(path)
    file = read_jobs(path, (run.job,), plugins)
    async with AsyncExitStack() as stack:
        opened = await Workshop(file, plugins=plugins, state=place).opened(file.jobs[run.job], stack, going_on=run)
        return await opened.flow.reconcile(opened.job, run, rulings)


def _tell(found: Reconciled, *, json: bool) -> Exit:
    if json:
        facts(found)
    else:
        _show(found)
    return _code(found)


def _show(found: Reconciled) -> None:
    for said in found.said:
        remark(f"{said.batch}: {'' if said.done else 'no: '}{said.text}{f' ({said.hint})' if said.hint else ''}")
    for text in found.found:
        remark(text)
    if found.blind:
        remark(f"the listing could not be looked at: {found.blind}")
    _show_unclear(found)
    if found.turned_up:
        remark(
            f"a batch of it turned up after the run had ended: its answers to {found.turned_up:,} requests are paid for, and are "
            "collected and delivered when the run goes on"
        )
    for other in found.elsewhere:
        remark(f"run {other[:SHORT]} has one too: `batchflow reconcile {other[:SHORT]}`")
    if found.next:
        remark(f"{styled('next:', BOLD)}  `{found.next}` goes on with the run")


def _show_unclear(found: Reconciled) -> None:
    """Say what is in doubt, and what is looked out for though nothing is."""
    for doubt in found.doubts:
        data(doubt.sentence)
        for command in doubt.say:
            remark(f"{styled('say:', BOLD)}   {command}")
    if not found.doubts:
        remark(
            "no batch is in doubt or held"
            if found.run is None
            else f"nothing is in doubt any more in run {found.run[:SHORT]}"
        )
    for one in found.watched:
        remark(one.sentence)


def _code(found: Reconciled) -> Exit:
    if any(not said.done for said in found.said):
        return Exit.USAGE
    if any(doubt.state == BatchState.HELD for doubt in found.doubts):
        return Exit.PAUSED
    return Exit.IN_FLIGHT if found.doubts else Exit.DELIVERED
