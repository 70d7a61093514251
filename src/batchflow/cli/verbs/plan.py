"""`batchflow plan [FILE] [JOB...]`: what a run would send and cost."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import Json, NoPlugins


def plan(
    *what: Annotated[
        str, Parameter(name="FILE JOB", help="The job file (`batchflow.yaml`), then names of jobs (all).")
    ],
    json: Json = False,
    no_plugins: NoPlugins = False,
) -> int:
    """Say what a run would send and cost: records, a rendered request, batches, tokens, cost, budget.

    Reads the whole source, as a run would. Needs no key, sends nothing, and writes nothing, not even a state folder.
    """
    from functools import partial

    import anyio

    from batchflow.cli.planning import plan as look

    return anyio.run(partial(look, what, json=json, no_plugins=no_plugins))
