"""From a job file and a folder to jobs that can be run: read, check, build, open. Nothing is written before all is sound."""

import os
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from batchflow.app import Batchflow
from batchflow.cli.environment import Keyless
from batchflow.cli.moving import bring_home
from batchflow.cli.output import remark
from batchflow.cli.place import beside, is_place, moved_to
from batchflow.cli.stores import objects_at, remember, settled, state_at
from batchflow.config.build import build, build_provider
from batchflow.config.check import check
from batchflow.config.faults import refusal
from batchflow.config.job import JobFile, JobSpec
from batchflow.config.load import Survey, load, survey
from batchflow.config.overlap import kept_for
from batchflow.config.plugging import remarks
from batchflow.config.secrets import Lookups
from batchflow.config.whole import look_into
from batchflow.engine.pricing import price_books
from batchflow.extend.facade import Plugins
from batchflow.job import Job, To
from batchflow.machine.run import OPEN
from batchflow.model.errors import ConfigError, PluginError, RunRefused
from batchflow.model.state import Event, Run
from batchflow.ports.clock import Clock
from batchflow.reports.runs import SHORT
from batchflow.stages.kit import Parts
from batchflow.stages.overlap import Needed
from batchflow.stages.wall import MEND

FILE = "batchflow.yaml"
SUFFIXES = (".yaml", ".yml")


class Ears:
    """Passes what is told on to whoever listens."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Event], None]] = []

    def __call__(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a file, bound to its state folder and its provider."""

    spec: JobSpec
    job: Job
    flow: Batchflow
    ears: Ears
    going_on: Run | None
    """The unfinished run that is picked up."""


class Workshop:
    """Opens the jobs of one command: one set of plugins, one state folder, and whoever listens to events."""

    def __init__(
        self, file: JobFile, *, plugins: Plugins, state: Path | None = None, clock: Clock | None = None
    ) -> None:
        self.file = file
        self.plugins = plugins
        self.place = beside(file.path, asked=state, written=file.state)
        self._kept = kept(file, state)
        self._asked = state
        self._clock = clock
        self._secrets = Lookups(file.secrets, plugins)

    async def opened(
        self, spec: JobSpec, stack: AsyncExitStack, *, new: bool = False, going_on: Run | None = None
    ) -> Opened:
        """Open one job, to begin with it or to go on. What is wrong with it is found before a folder is made."""
        ears = Ears()
        async with in_one_round(self.file.path, self.file.jobs, self.plugins, state=self._asked):
            provider = build_provider(spec, {}, self._secrets)
        stores = await settled(self.place, self.file.stores, self.file.path)
        flow = Batchflow(
            self.place,
            provider=provider,
            store=state_at(self.place, stores, self.plugins),
            blobs=objects_at(self.place, stores, self.plugins),
            plugins=self.plugins,
            clock=self._clock,
            on_event=ears,
        )
        before: Sequence[Run] = ()
        is_known = is_place(self.place)
        if is_known:
            remember(self.place, self.file.stores, self.file.path)
            await stack.enter_async_context(flow)
            await bring_home(flow.store, self.place, spec)
            going_on = going_on or await self._unfinished(flow, spec, new=new)
            before = await self._runs(flow, spec, before=going_on)
        supplied = given(self.plugins, self._spool(spec, before))
        if going_on is None:
            async with in_one_round(self.file.path, self.file.jobs, self.plugins, state=self._asked):
                parts = build(spec, supplied, notifiers=True, secrets=self._secrets)
                await refuse_unsound(spec, parts, self.plugins, self._kept)
        else:
            # What is read already may be gone: the source is not looked at again.
            parts = build(spec, supplied, notifiers=True, secrets=self._secrets)
        if not is_known:
            remember(self.place, self.file.stores, self.file.path)
            await stack.enter_async_context(flow)
        return Opened(spec=spec, job=as_job(spec, parts), flow=flow, ears=ears, going_on=going_on)

    async def _unfinished(self, flow: Batchflow, spec: JobSpec, *, new: bool) -> Run | None:
        last = await self._runs(flow, spec)
        return last[0] if last and last[0].state in OPEN and not new else None

    async def _runs(self, flow: Batchflow, spec: JobSpec, *, before: Run | None = None) -> Sequence[Run]:
        where = {"job": spec.name, "file": str(spec.file)}
        return await flow.store.find(Run, where, after=before.id if before else "", limit=1, newest=True)

    def _spool(self, spec: JobSpec, before: Sequence[Run]) -> Path:
        """Name the folder of a run's copied input after the run before it: that is known before a run has an id."""
        return self.place / "spool" / spec.name / (before[0].id if before else "first")


def read_jobs(file: Path, names: Collection[str], plugins: Plugins, env: Mapping[str, str] = os.environ) -> JobFile:
    """Read a job file, and pass on what is worth saying about it."""
    read = load(file, plugins, env, only=names)
    for warning in (*read.warnings, *remarks(plugins)):
        remark(warning)
    return read


@asynccontextmanager
async def in_one_round(
    file: Path,
    names: Collection[str],
    plugins: Plugins,
    env: Mapping[str, str] = os.environ,
    *,
    state: Path | None = None,
) -> AsyncGenerator[None]:
    """Where a job file turns out to be wrong, tell everything that is wrong with it, and not only what was met first."""
    try:
        yield
    except ConfigError as met:
        read = survey(file, plugins, env, only=names)
        prices = price_books(plugins)
        with TemporaryDirectory(prefix="batchflow-") as spool:
            await look_into(
                read,
                plugins=plugins,
                prices=prices,
                given=given(plugins, Path(spool)),
                notifiers=not isinstance(env, Keyless),
                kept=kept(read, state),
            )
        read.faults.stop()
        raise met from None


def kept(file: JobFile | Survey, asked: Path | None) -> Sequence[Needed]:
    """Name what batchflow keeps for the jobs of a file."""
    return kept_for(file, beside(file.path, asked=asked, written=file.state))


def split_words(words: Sequence[str]) -> tuple[Path, list[str]]:
    """Tell the job file from the names of jobs: `run`, `run triage`, `run other.yaml triage`."""
    first = words[0] if words else ""
    if first.endswith(SUFFIXES) or (first and Path(first).is_file()):
        return Path(first), list(words[1:])
    return Path(FILE), list(words)


def given(plugins: Plugins, spool: Path) -> dict[str, Any]:
    """What the app supplies to factories that ask for it by name."""
    return {"filters": plugins.filters(), "globals": plugins.globals(), "spool": spool}


def as_job(spec: JobSpec, parts: Parts) -> Job:
    """Make a job of its parts, under the identity that the job file gives it."""
    try:
        return Job(
            name=spec.name,
            source=parts.source,
            request=parts.builder,
            sinks=[To(sink=outlet.sink, on=outlet.on, name=outlet.name) for outlet in parts.outlets],
            checks=parts.checks,
            retry=parts.retry,
            notify=parts.listeners,
            rules=parts.rules,
            file=str(spec.file),
            config=spec.config,
        )
    except ConfigError as error:  # the file was read and is sound: it is what a factory gave
        raise PluginError(
            error.message.removeprefix(f"job `{spec.name}`: "), hint="this is a fault of its plugin"
        ) from error


async def refuse_unsound(spec: JobSpec, parts: Parts, plugins: Plugins, kept: Sequence[Needed]) -> None:
    """Ask every part what is wrong, before anything is sent; raise all that would stop the run.

    Where nothing but its plugins is wrong, the other jobs of the file need not wait until those are mended.
    """
    prices = price_books(plugins)
    problems = await check(spec, parts, plugins=plugins, prices=prices, kept=kept)
    for found in problems:
        if found.warning:
            remark(spec.told(found))
    wrong = [found for found in problems if not found.warning]
    if wrong and all(found.plugin for found in wrong):
        raise PluginError("; ".join(found.message for found in wrong), hint=wrong[0].hint or MEND)
    if wrong:
        raise refusal(spec.page, map(spec.fault, wrong))


def file_of(run: Run, place: Path) -> Path:
    """Find the job file that a run in this state folder came from."""
    if not run.file:
        raise RunRefused(
            f"run {run.id[:SHORT]} of {run.job} was declared in code, not in a job file",
            hint="go on with it from the program that declares it: `flow.resume(job, run)`, `flow.results(run, job)`",
        )
    file = moved_to(Path(run.file), place)
    if not file.is_file():
        raise ConfigError(
            f"run {run.id[:SHORT]} of {run.job} came from {run.file}, and that job file is not there any more",
            hint=f"put it back to where it was, or beside {place}: runs are known by their job file",
        )
    return file
