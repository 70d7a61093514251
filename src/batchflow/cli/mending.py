"""What `doctor --repair` does: what nobody misses is removed, and answers that are damaged are fetched again."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from batchflow.cli.opening import Workshop, file_of, read_jobs
from batchflow.cli.wishes import lent
from batchflow.config.plugging import plugins_for
from batchflow.model.errors import BatchflowError, Locked, RunRefused
from batchflow.model.state import Run
from batchflow.ports.blobs import BlobStore
from batchflow.ports.state import StateStore
from batchflow.reports.agreement import all_named, is_paid
from batchflow.reports.findings import Finding, Grade
from batchflow.stages.mend import Unmended


class Mending:
    """Mends what was found, each thing once, after a second look and under the lease of its run."""

    def __init__(self, store: StateStore, blobs: BlobStore, place: Path) -> None:
        self._store = store
        self._blobs = blobs
        self._place = place
        self._tried: set[str] = set()
        self.done: list[str] = []
        self.undone: list[str] = []
        self.beyond: set[str] = set()
        """What cannot be mended from here, however often it is tried."""

    async def anything_of(self, findings: Sequence[Finding]) -> bool:
        """Mend what can be mended; tell whether anything was."""
        before = len(self.done)
        for one in findings:
            if one.repair and one.subject not in self._tried:
                self._tried.add(one.subject)
                await self._mend(one)
        return len(self.done) > before

    async def _mend(self, one: Finding) -> None:
        run = await self._store.get(Run, one.run)
        if run is None:
            raise RunRefused(f"run {one.run} is not in the store any more")
        if one.grade is Grade.DAMAGE:
            await self._fetch_again(run, one)
            return
        try:
            async with lent(self._store, run):  # which takes the lease from the dead
                self.done += await self._tidied(run, one)
        except Locked:
            return

    async def _tidied(self, run: Run, one: Finding) -> list[str]:
        if one.subject.startswith("run/"):
            return [f"the lease of run {run.id} is free"]
        if one.subject in await all_named(self._store, run) or await is_paid(self._store, one.subject):
            return []
        await self._blobs.delete(one.subject)
        return [f"object {one.subject} is removed"]

    async def _fetch_again(self, run: Run, one: Finding) -> None:
        """Ask the provider for answers that are damaged here; the job says which, and with what key."""
        batch = one.subject.split("/")[1]
        if one.subject not in await all_named(self._store, run):
            return  # mended together with another part of the same batch
        try:
            trouble = await self._refetched(run, batch)
        except BatchflowError as error:
            trouble = Unmended(f"{error.message}{f' ({error.hint})' if error.hint else ''}", later=True)
        if trouble is not None:
            self.undone.append(trouble.why)
            self.beyond |= set() if trouble.later else {one.subject}
            return
        self.done.append(f"the answers of batch {batch} were fetched again, at no cost")
        self._tried.discard(one.subject)  # it is found once more, as left over

    async def _refetched(self, run: Run, batch: str) -> Unmended | None:
        path = file_of(run, self._place)
        plugins = plugins_for(path)
        file = read_jobs(path, (run.job,), plugins)
        async with AsyncExitStack() as stack:
            workshop = Workshop(file, plugins=plugins, state=self._place)
            opened = await workshop.opened(file.jobs[run.job], stack, going_on=run)
            return await opened.flow.refetch(opened.job, run, batch)
