"""The verbs that drive runs: each opens its jobs, drives them, and says how they ended."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from batchflow.app import Report
from batchflow.cli import failures
from batchflow.cli.driving import Driving, Go, worst
from batchflow.cli.endings import tell_endings
from batchflow.cli.exits import Exit, exit_of
from batchflow.cli.opening import Opened, Workshop, in_one_round, read_jobs, split_words
from batchflow.cli.process import leave_hanging
from batchflow.config.plugging import plugins_for
from batchflow.extend.quantities import seconds
from batchflow.model.errors import PluginError, UnknownComponent, UserError
from batchflow.ports.clock import Clock
from batchflow.stages.wall import of_job


async def run_file(
    words: Sequence[str],
    *,
    new: bool = False,
    wait: float | None = None,
    json: bool = False,
    state: Path | None = None,
    clock: Clock | None = None,
    no_plugins: bool = False,
) -> Exit:
    """Run jobs of a file, all at once."""
    file, names = split_words(words)
    plugins = plugins_for(file, off=no_plugins)
    async with in_one_round(file, names, plugins):
        read = read_jobs(file, names, plugins)
    workshop = Workshop(read, plugins=plugins, state=state, clock=clock)

    async def go(opened: Opened) -> Report:
        return await opened.flow.run(opened.job, new=new, wait=wait)

    return await drive_all(workshop, go, new=new, json=json)


async def drive_all(workshop: Workshop, go: Go, *, new: bool, json: bool, hints: bool = True) -> Exit:
    """Open every job of the file, drive them, and say how they ended; `hints` say what to type next."""
    async with AsyncExitStack() as stack:
        jobs, left_out = await _opened(workshop, stack, new=new)
        ended = await Driving(jobs).drive(go)
        code = await tell_endings(ended, json=json, hints=hints)
        for error in left_out:
            failures.say(error)
    return leave_hanging(worst([code, *map(exit_of, left_out)]))


async def _opened(workshop: Workshop, stack: AsyncExitStack, *, new: bool) -> tuple[list[Opened], list[PluginError]]:
    """Open the jobs. One that a plugin keeps from being opened keeps none of the others, unless it is the only one."""
    jobs: list[Opened] = []
    left_out: list[PluginError] = [workshop.file.left_out] if workshop.file.left_out else []
    for spec in workshop.file.jobs.values():
        try:
            jobs.append(await workshop.opened(spec, stack, new=new))
        except PluginError as error:
            left_out.append(of_job(spec.name, error))
        except UnknownComponent as error:
            if not workshop.plugins.lack_some:
                raise
            left_out.append(of_job(spec.name, PluginError(error.message, hint=error.hint)))
    if jobs:
        return jobs, left_out
    for error in left_out[:-1]:
        failures.say(error)
    raise left_out[-1]


def patience(wait: str | None, *, no_wait: bool) -> float | None:
    """Read how long a command may stay: None is to the end."""
    if no_wait and wait is not None:
        raise UserError("`--no-wait` and `--wait` say different things", hint="type one of them")
    if no_wait:
        return 0.0
    try:
        return None if wait is None else seconds(wait)
    except ValueError as error:
        raise UserError(f"`--wait {wait}` is not understood: {error}") from error
