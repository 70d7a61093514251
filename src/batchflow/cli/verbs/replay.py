"""`batchflow replay RUN --sink NAME`: bring a run's results to one of its sinks again."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import FoundState, Json, NoPlugins, NoWait, RunName, Wait


def replay(
    run: RunName = "",
    /,
    *,
    sink: Annotated[
        str, Parameter(help="The sink's name: its type, or the `name` that the job gives it. `report` lists them.")
    ],
    no_wait: NoWait = False,
    wait: Wait = None,
    json: Json = False,
    state: FoundState = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Bring everything that a run brought to one of its sinks to it again, because what the sink wrote is lost or spoiled.

    Nothing is asked and nothing is paid: answers are stored. The sink begins as in a new run, so move a spoiled file away
    first, or say `if_exists: overwrite`. A table that keeps receipts beside its rows is given only the parts that it lacks.
    A run that was not finished goes on afterwards.
    """
    from functools import partial

    import anyio

    from batchflow.cli.operating import replay as bring_again
    from batchflow.cli.running import patience
    from batchflow.config.plugging import none_loaded

    with none_loaded(off=no_plugins):
        return anyio.run(partial(bring_again, run, sink, wait=patience(wait, no_wait=no_wait), json=json, state=state))
