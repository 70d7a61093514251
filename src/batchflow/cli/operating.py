"""The verbs that act on a run which is there: resume, retry, cancel, pause."""

from contextlib import AsyncExitStack
from pathlib import Path

from batchflow.app import Report
from batchflow.cli.driving import Driving, Go
from batchflow.cli.endings import tell_endings
from batchflow.cli.exits import Exit
from batchflow.cli.looking import opened_store
from batchflow.cli.opening import Opened, Workshop, file_of, read_jobs
from batchflow.cli.output import facts, remark
from batchflow.cli.place import found
from batchflow.cli.process import leave_hanging
from batchflow.cli.wishes import driver_of, obeyed, pause_unattended, wish, withdraw
from batchflow.config.plugging import plugins_for
from batchflow.extend.near import did_you_mean
from batchflow.machine.run import LIVE, OPEN, standing
from batchflow.model.errors import Locked, RunRefused, UserError
from batchflow.model.money import dollars
from batchflow.model.state import Lease, Run, RunState
from batchflow.model.words import Word
from batchflow.ports.state import StateStore
from batchflow.reports.housekeeping import refuse_cleared
from batchflow.reports.runs import SHORT, find_run
from batchflow.reports.runs import facts as run_facts


async def resume(wanted: str, *, wait: float | None, json: bool, state: Path | None) -> Exit:
    """Go on with one run."""
    place = found(state)
    run = await _find(place, wanted)

    async def go(opened: Opened) -> Report:
        return await opened.flow.resume(opened.job, run, wait=wait)

    return await _drive_one(place, run, go, json=json)


async def retry(wanted: str, only: str, *, wait: float | None, json: bool, state: Path | None) -> Exit:
    """Ask dead letters again."""
    words = read_words(only)
    place = found(state)
    run = await _find(place, wanted)
    if run.state in OPEN:
        raise RunRefused(
            f"run {run.id[:SHORT]} is {standing(run)}: its dead letters are not all known yet",
            hint=f"`batchflow resume {run.id[:SHORT]}` brings it to its end first",
        )
    async with opened_store(place) as store:
        await refuse_cleared(store, run)

    async def go(opened: Opened) -> Report:
        return await opened.flow.retry(opened.job, run, words, wait=wait)

    return await _drive_one(place, run, go, json=json)


async def replay(wanted: str, sink: str, *, wait: float | None, json: bool, state: Path | None) -> Exit:
    """Bring a run's results to one of its sinks again."""
    place = found(state)
    run = await _find(place, wanted)
    async with opened_store(place) as store:
        await refuse_cleared(store, run)

    async def go(opened: Opened) -> Report:
        return await opened.flow.replay(opened.job, run, sink, wait=wait)

    return await _drive_one(place, run, go, json=json)


async def cancel(wanted: str, *, json: bool, state: Path | None) -> Exit:
    """End a run early: through its driver if it has one, else by driving it to its end."""
    place = found(state)
    async with opened_store(place) as store:
        run = await find_run(store, wanted)
        if run.state not in OPEN:
            raise RunRefused(f"run {run.id[:SHORT]} is {run.state} already: there is nothing to cancel")
        lease = await driver_of(store, run)
        if lease is not None:
            return await _told(store, run, "cancel", lease, json=json)

    async def go(opened: Opened) -> Report:
        return await opened.flow.cancel(opened.job, run)

    code = await _drive_one(place, run, go, json=json)
    return Exit.DELIVERED if code is Exit.DEAD_LETTERS else code


async def pause(wanted: str, *, json: bool, state: Path | None) -> Exit:
    """Send nothing more of a run for now."""
    async with opened_store(found(state)) as store:
        run = await find_run(store, wanted)
        if run.state not in LIVE:
            raise RunRefused(f"run {run.id[:SHORT]} is {run.state}: there is nothing to pause")
        lease = await driver_of(store, run)
        if lease is not None:
            return await _told(store, run, "pause", lease, json=json)
        await _say(store, await pause_unattended(store, run), json=json)
    return Exit.DELIVERED


def read_words(only: str) -> list[Word]:
    """Read outcome words as they are typed: `expired,truncated`."""
    typed = [word.strip() for word in only.split(",") if word.strip()]
    known = [word.value for word in Word if word not in {Word.OK, Word.BUILD_ERROR}]
    for word in typed:
        if word not in known:
            raise UserError(f"`{word}` is no outcome that could be asked again: {did_you_mean(word, known)}")
    if not typed:
        raise UserError("`--only` names no outcome", hint="`batchflow report` lists a run's dead letters by word")
    return [Word(word) for word in typed]


async def _find(place: Path, wanted: str) -> Run:
    async with opened_store(place) as store:
        return await find_run(store, wanted)


async def _drive_one(place: Path, run: Run, go: Go, *, json: bool) -> Exit:
    """Open the job of a run as its file is now, and drive the run."""
    path = file_of(run, place)
    plugins = plugins_for(path)
    file = read_jobs(path, (run.job,), plugins)
    workshop = Workshop(file, plugins=plugins, state=place)
    async with AsyncExitStack() as stack:
        opened = await workshop.opened(file.jobs[run.job], stack, going_on=run)
        code = await tell_endings(await Driving([opened]).drive(go), json=json)
    return leave_hanging(code)


async def _told(store: StateStore, run: Run, verb: str, lease: Lease, *, json: bool) -> Exit:
    """Hand a wish to the driver, and see whether it takes note."""
    made = await wish(store, run, verb)
    if await obeyed(store, made):
        now = await store.get(Run, run.id) or run
        remark(f"the driver (pid {lease.pid} on {lease.host}) has taken note: {_meaning(verb)}")
        for worry in (await run_facts(store, now)).worries if verb == "cancel" else ():
            remark(f"{worry.rstrip('.')}. It is settled first, and the wish to cancel is remembered")
        await _say(store, now, json=json)
        return Exit.DELIVERED
    await withdraw(store, made)
    raise Locked(
        f"run {run.id[:SHORT]} is held by pid {lease.pid} on {lease.host}, which does not answer; nothing was changed",
        hint=f"if that process is dead, its hold ends within a minute: type `batchflow {verb} {run.id[:SHORT]}` again then",
    )


def _meaning(verb: str) -> str:
    if verb == "pause":
        return "it sends nothing more; what is in flight stays at the provider, and is paid for"
    return (
        "it sends nothing more, cancels what is in flight, and collects and delivers what was answered and is paid for"
    )


async def _say(store: StateStore, run: Run, *, json: bool) -> None:
    if json:
        facts(await run_facts(store, run))
        return
    books = await store.books(run.id)
    remark(
        f"{run.job}: run {run.id[:SHORT]} is {standing(run)}; {books['delivered']:,} delivered, {books['in_flight']:,} in flight, "
        f"{books['waiting']:,} waiting; {dollars(books['paid'])} paid so far"
    )
    if run.state is RunState.PAUSED:
        remark(f"next:  `batchflow resume {run.id[:SHORT]}` goes on with it")
