"""Writing a run's results to standard output again, from our own store."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from batchflow.app import Batchflow
from batchflow.cli.exits import Exit
from batchflow.cli.opening import as_job, file_of, given
from batchflow.cli.place import DATABASE, found
from batchflow.config.build import build, build_provider
from batchflow.config.load import load
from batchflow.extend.facade import Plugins
from batchflow.model.errors import SinkError
from batchflow.ports.sink import Part, SinkContext
from batchflow.reports.housekeeping import refuse_cleared
from batchflow.reports.runs import find_run
from batchflow.stages.kit import On


class Keyless(Mapping[str, str]):
    """The environment, where a variable that is not set reads as empty: whoever only looks needs no credentials."""

    def __getitem__(self, name: str) -> str:
        return os.environ.get(name, "")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


async def results(wanted: str, *, on: On, state: Path | None) -> Exit:
    """Stream the rows of one run as JSON lines, checked as the sinks got them."""
    place = found(state)
    plugins = Plugins()
    store = plugins.state_store("sqlite")(path=place / DATABASE)
    async with AsyncExitStack() as stack:
        await store.open()
        stack.push_async_callback(store.close)
        run = await find_run(store, wanted)
        await refuse_cleared(store, run)
        spec = load(file_of(run), plugins, Keyless(), only=(run.job,)).jobs[run.job]
        flow = Batchflow(place, provider=build_provider(spec, {}), plugins=plugins, store=store)
        await stack.enter_async_context(flow)
        job = as_job(spec, build(spec, given(plugins, place / "spool")))
        sink = plugins.sink("stdout")()
        await sink.open(SinkContext(run=run.id, job=run.job, sink="stdout", fresh=True), None)
        try:
            await sink.write(Part(name=run.id, rows=flow.results(run, job, on=on)))
        except SinkError as error:
            if not isinstance(error.__cause__, BrokenPipeError):
                raise
    return Exit.DELIVERED
