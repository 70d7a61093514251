"""How a run begins, or goes on: by what it reads, by which rules, and what an edited job or source means for it."""

from collections.abc import Mapping

import msgspec

from batchflow.machine.run import OPEN, Resumed
from batchflow.model import errors
from batchflow.model.change import Put
from batchflow.model.state import Run, RunState, Wish
from batchflow.stages.asked import asked, where_of
from batchflow.stages.kit import Kit, Parts
from batchflow.stages.reopen import refuse_other_account, refuse_other_address, reopen
from batchflow.stages.wall import of_job


async def write_down(kit: Kit, run: Run) -> None:
    """Write a fresh run down, or wake one that stopped."""
    if await kit.store.get(Run, run.id) is None:
        await kit.commit(Put(run), kit.event("run.started", run.id, run.job))
        return

    await refuse_other_address(kit)
    await refuse_other_account(kit)
    await _wake(kit)
    await reopen(kit)


async def fingerprint_of(parts: Parts, last: Run | None) -> str | None:
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


async def renew(kit: Kit, *, config: str, fingerprint: str | None) -> None:
    """Write down what a run that has not read anything yet is about to read."""
    run = await kit.current()
    if (run.config, run.fingerprint) != (config, fingerprint) and not run.read_all:
        await kit.commit(
            Put(msgspec.structs.replace(run, version=run.version + 1, config=config, fingerprint=fingerprint))
        )


async def wish_to_cancel(kit: Kit) -> None:
    """Let the driver that is about to begin hear it as it hears every wish; one that may not begin never hears of it."""
    await kit.commit(Put(Wish(id=kit.fresh(), run=kit.run, verb="cancel", at=kit.now())))


def changed(run: Run, what: str, books: Mapping[str, int]) -> errors.RunRefused:
    """Say why a run cannot go on with what was edited, and what can be done instead."""
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


def not_replayed(run: Run, error: errors.SinkError) -> str:
    """Say that a run is as it was where a sink of it could not be opened, and what to type when that is mended."""
    return f"{error.hint or 'mend that'}; then type the same `batchflow replay` again: run {run.id[:16]} is {run.state}, as before"
