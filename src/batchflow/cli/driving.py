"""Driving runs from the command line: all jobs of a command at once, under one screen, with signals obeyed."""

import signal
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TypeAlias

import anyio
import msgspec

from batchflow.app import Report
from batchflow.cli import failures
from batchflow.cli.exits import Exit, exit_of
from batchflow.cli.opening import Opened
from batchflow.cli.process import come_to_an_end, settle_in
from batchflow.cli.progress.screen import Screen, follow, look, screen
from batchflow.engine.mishaps import unexpected
from batchflow.model.errors import BatchflowError, SinkError
from batchflow.model.state import RunState
from batchflow.model.words import Word
from batchflow.reports.pulse import Watch

Go: TypeAlias = Callable[[Opened], Awaitable[Report]]
SEVERITY = (
    Exit.BUG, Exit.STORE, Exit.CREDENTIALS, Exit.CONFIG, Exit.PLUGIN, Exit.UNREACHABLE, Exit.USAGE, Exit.INTERRUPTED,
    Exit.PAUSED, Exit.IN_FLIGHT, Exit.DEAD_LETTERS, Exit.DELIVERED,
)  # fmt: skip
"""Of several jobs' exit codes the first in this row is the command's."""


class Ended(msgspec.Struct, kw_only=True):
    """How the driving of one job ended: a report, or an error."""

    opened: Opened
    report: Report | None = None
    error: BatchflowError | None = None
    interrupted: bool = False
    resting: bool = False
    """A sink ended it, and nothing is in flight."""

    @property
    def exit(self) -> Exit:
        """Choose the exit code."""
        if self.error is not None:
            return Exit.PAUSED if self.resting else exit_of(self.error)
        return Exit.INTERRUPTED if self.report is None else code_of(self.report, interrupted=self.interrupted)


class Driving:
    """Drives some opened jobs to where they can be left."""

    def __init__(self, jobs: Sequence[Opened], *, quiet: bool = False) -> None:
        self._ended = [Ended(opened=job) for job in jobs]
        self._screen = screen(quiet=quiet)
        self._watches = [_watch(job, self._screen) for job in jobs]

    async def drive(self, go: Go) -> list[Ended]:
        """Do `go` with every job, and say how each ended. An error of one does not stop the others."""
        settle_in()
        try:
            async with anyio.create_task_group() as around:
                around.start_soon(follow, self._watches, self._screen)
                async with anyio.create_task_group() as jobs:
                    around.start_soon(self._obey, jobs.cancel_scope)
                    for ended in self._ended:
                        jobs.start_soon(self._one, ended, go)
                around.cancel_scope.cancel()
            await look(self._watches, self._screen)
        finally:
            self._screen.close()
            if any(ended.interrupted for ended in self._ended):
                come_to_an_end()
        return self._ended

    async def _one(self, ended: Ended, go: Go) -> None:
        try:
            ended.report = await go(ended.opened)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other jobs go on
            found = failures.known(error)
            ended.error = unexpected("run", error) if found is None else found
            stopped_by_sink = isinstance(found, SinkError) and exit_of(found) is Exit.IN_FLIGHT
            ended.resting = stopped_by_sink and not await flying(ended.opened)

    async def _obey(self, scope: anyio.CancelScope) -> None:
        """Stop gracefully at the first signal, and at once at the second."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if any(ended.interrupted for ended in self._ended):
                    scope.cancel()
                    return
                self._stop()

    def _stop(self) -> None:
        self._screen.say("finishing the step in hand; press again to stop at once")
        for ended in self._ended:
            ended.interrupted = True
            ended.opened.flow.stop()


async def flying(opened: Opened) -> int:
    """Count what is at the provider, or may be, of the run that was driven."""
    run = await opened.flow.last(opened.job) if opened.going_on is None else opened.going_on
    return (await opened.flow.store.books(run.id))["in_flight"] if run is not None else 0


def code_of(report: Report, *, interrupted: bool = False) -> Exit:
    """Choose the exit code of a run that was driven."""
    run, books = report.run, report.books
    match run.state:
        case RunState.DONE | RunState.CANCELED if not report.driven:
            return Exit.DELIVERED
        case RunState.DONE | RunState.CANCELED:
            return Exit.DEAD_LETTERS if books["dead"] or books["unbuildable"] or books["canceled"] else Exit.DELIVERED
        case RunState.PAUSED:
            return _paused(run.word)
        case _:
            return Exit.INTERRUPTED if interrupted else Exit.IN_FLIGHT


def worst(codes: Collection[Exit]) -> Exit:
    """Choose the exit code of a command with several jobs."""
    return next((code for code in SEVERITY if code in codes), Exit.DELIVERED)


def _paused(word: Word | None) -> Exit:
    match word:
        case Word.UNAUTHORIZED:
            return Exit.CREDENTIALS
        case Word.SERVER_ERROR | Word.OVERLOADED | Word.RATE_LIMITED | Word.MISSING:
            return Exit.UNREACHABLE
        case _:
            return Exit.PAUSED


def _watch(job: Opened, screen: Screen) -> Watch:
    spec, run = job.spec, job.going_on.id if job.going_on else ""
    watch = Watch(job.flow.store, job=spec.name, file=str(spec.file), budget=spec.rules.budget, run=run)
    job.ears.listeners += [watch.heard, partial(screen.event, job.spec.name)]
    return watch
