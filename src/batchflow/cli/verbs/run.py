"""`batchflow run [FILE] [JOB...]`: run jobs to their end, or go on where they stopped."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import Json, NoPlugins, NoWait, State, Wait


def run(
    *what: Annotated[
        str, Parameter(name="FILE JOB", help="The job file (`batchflow.yaml`), then names of jobs (all).")
    ],
    new: Annotated[bool, Parameter(help="Begin afresh and pay again, whatever was delivered before.")] = False,
    no_wait: NoWait = False,
    wait: Wait = None,
    json: Json = False,
    state: State = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Run the jobs of a file, or go on where they stopped.

    An unfinished run is picked up. A finished one is not paid for again unless its job or its source has changed, or
    `--new` says so. Ctrl-C finishes the step in hand; a second one stops at once. Either way the same command goes on.
    """
    from functools import partial

    import anyio

    from batchflow.cli.running import run_file

    stay = _patience(wait, no_wait=no_wait)
    return anyio.run(partial(run_file, what, new=new, wait=stay, json=json, state=state, no_plugins=no_plugins))


def _patience(wait: str | None, *, no_wait: bool) -> float | None:
    from batchflow.cli.running import patience

    return patience(wait, no_wait=no_wait)
