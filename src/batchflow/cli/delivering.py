"""Writing a run's results to standard output again, from our own store."""

from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from batchflow.app import Batchflow
from batchflow.cli.environment import Keyless
from batchflow.cli.exits import Exit
from batchflow.cli.figures import count
from batchflow.cli.opening import as_job, file_of, given
from batchflow.cli.output import BOLD, RED, remark, styled
from batchflow.cli.place import found
from batchflow.cli.stores import known, objects_at, state_at
from batchflow.cli.streams import lost
from batchflow.config.build import build, build_provider
from batchflow.config.load import load
from batchflow.config.plugging import plugins_for
from batchflow.model.errors import ObjectDamaged, SinkError
from batchflow.model.state import Batch, Run
from batchflow.ports.sink import Part, SinkContext
from batchflow.reports.housekeeping import refuse_cleared
from batchflow.reports.runs import SHORT, find_run
from batchflow.stages.kit import On


async def results(wanted: str, *, on: On, state: Path | None) -> Exit:
    """Stream the rows of one run as JSON lines, checked as the sinks got them; name what is damaged, and give all else."""
    damaged: list[str] = []

    def remember(batch: Batch, given: int, damage: ObjectDamaged) -> None:
        what = f"batch {batch.id[:SHORT]} ({count(batch.count, 'request')}) could not be given whole; {count(given, 'row')} of it were"
        damaged.append(f"{what}: {damage.message}")

    place = found(state)
    stores = known(place)
    store, blobs = state_at(place, stores, looking=True), objects_at(place, stores)
    async with AsyncExitStack() as stack:
        await store.open()
        stack.push_async_callback(store.close)
        run = await find_run(store, wanted)
        await refuse_cleared(store, run)
        file = file_of(run, place)
        plugins = plugins_for(file)
        spec = load(file, plugins, Keyless(), only=(run.job,)).jobs[run.job]
        flow = Batchflow(place, provider=build_provider(spec, {}), plugins=plugins, store=store, blobs=blobs)
        await stack.enter_async_context(flow)
        job = as_job(spec, build(spec, given(plugins, place / "spool")))
        sink = plugins.sink("stdout")()
        await sink.open(SinkContext(run=run.id, job=run.job, sink="stdout", fresh=True), None)
        try:
            async with aclosing(flow.results(run, job, on=on, on_damage=remember)) as rows:
                await sink.write(Part(name=run.id, rows=rows))
        except SinkError as error:
            if isinstance(error.__cause__, OSError):
                raise lost(error.__cause__) from error
            raise
    return _told(damaged, run)


def _told(damaged: Sequence[str], run: Run) -> Exit:
    """Say what is missing from the output, and how it may be had."""
    for what in damaged:
        remark(f"{styled('error:', RED)} {what}")
    if not damaged:
        return Exit.DELIVERED
    doctor = f"batchflow doctor {run.id[:SHORT]} --repair"
    remark(
        f"{styled('next:', BOLD)}  `{doctor}` fetches answers again while the provider has them, and says what else can be done"
    )
    return Exit.STORE
