"""The verbs that only look: they open a state folder that is there, and write nothing."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from batchflow.cli.exits import Exit
from batchflow.cli.output import facts as write_facts
from batchflow.cli.output import remark
from batchflow.cli.place import found
from batchflow.cli.stores import known, state_at
from batchflow.model.state import Run
from batchflow.ports.state import StateStore
from batchflow.reports.ledger import report as gather
from batchflow.reports.paging import every
from batchflow.reports.runs import RunFacts, facts, find_run

FEW = 20


@asynccontextmanager
async def opened_store(place: Path, *, looking: bool = False) -> AsyncGenerator[StateStore]:
    """Open the state store of a folder, with no provider and no job; who is only `looking` changes nothing in it."""
    store = state_at(place, known(place), looking=looking)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def ps(*, every_run: bool, json: bool, state: Path | None) -> Exit:
    """List runs, the newest first."""
    async with opened_store(found(state), looking=True) as store:
        runs, more = await _newest(store, limit=None if every_run or json else FEW)
    if json:
        write_facts(runs)
        return Exit.DELIVERED
    if not runs:
        remark("there are no runs here yet")
        return Exit.DELIVERED
    from batchflow.cli.tables import runs_table, to_stdout

    to_stdout(runs_table(runs))
    if more:
        remark(f"the newest {FEW} of them; `--all` lists every run")
    return Exit.DELIVERED


async def report(wanted: str, *, json: bool, state: Path | None) -> Exit:
    """Say what came of one run."""
    async with opened_store(found(state), looking=True) as store:
        gathered = await gather(store, await find_run(store, wanted), now=time.time())
    if json:
        write_facts(gathered)
        return Exit.DELIVERED
    from batchflow.cli.tables import report_table, to_stdout

    to_stdout(report_table(gathered))
    return Exit.DELIVERED


async def _newest(store: StateStore, *, limit: int | None) -> tuple[list[RunFacts], bool]:
    runs: list[RunFacts] = []
    async for run in every(store, Run, {}, newest=True):
        if limit is not None and len(runs) == limit:
            return runs, True
        runs.append(await facts(store, run))
    return runs, False
