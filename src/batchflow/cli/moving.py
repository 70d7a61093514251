"""Runs whose job file is somewhere else today: the folder was moved, copied or renamed, or is reached by another path.

They are the same runs. Taken for another job's, what they have at the provider would be forgotten, and paid for again.
"""

import os
from pathlib import Path

import msgspec

from batchflow.cli.output import remark
from batchflow.cli.place import is_there
from batchflow.cli.wishes import lent
from batchflow.config.job import JobSpec
from batchflow.job import hashed
from batchflow.model.change import Put
from batchflow.model.state import Run
from batchflow.ports.state import StateStore
from batchflow.reports.paging import every
from batchflow.reports.runs import SHORT


async def bring_home(store: StateStore, place: Path, spec: JobSpec) -> None:
    """Write down where the job file is now, if the job's newest run in this state folder names it by another path."""
    async for run in every(store, Run, {"job": spec.name}, newest=True):
        if run.file == str(spec.file):
            return
        if run.file and _is_same_job(run, place, spec):
            await _rename(store, run, spec.file)
            return


def _is_same_job(run: Run, place: Path, spec: JobSpec) -> bool:
    """Tell whether a run of a job of this name came from this file, by what lies where.

    A state folder may be shared by many job files, and a file that is gone says little there: then both must ask the same.
    """
    old, new = Path(run.file), spec.file
    if old.name == new.name and _real(old.parent) == _real(new.parent):
        return True
    home = _real(place)
    is_local, asks_the_same = home.is_relative_to(_real(new.parent)), run.config == hashed(spec.config)
    if not is_there(old):
        return is_local or asks_the_same
    return asks_the_same and is_local and not home.is_relative_to(_real(old.parent))  # copied with its state folder


async def _rename(store: StateStore, newest: Run, file: Path) -> None:
    """Rename the file of all runs that came from the same one; a run that is driven just now is refused by name."""
    async with lent(store, newest) as holding:
        runs = [run async for run in every(store, Run, {"job": newest.job, "file": newest.file})]
        renamed = [msgspec.structs.replace(run, version=run.version + 1, file=str(file)) for run in runs]
        await store.commit((holding, *map(Put, renamed)))
    remark(f"{newest.job}: run {newest.id[:SHORT]} came from {newest.file}, and is taken as a run of {file}")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
