"""`batchflow results [RUN]`: a run's results once more."""

from typing import Annotated, Literal

from cyclopts import Parameter

from batchflow.cli.options import FoundState, NoPlugins, RunName


def results(
    run: RunName = "",
    /,
    *,
    on: Annotated[Literal["ok", "dead", "all"], Parameter(help="Which rows: good ones, dead letters, or both.")] = "ok",
    state: FoundState = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Write a run's results to standard output once more, as JSON lines, from batchflow's own store.

    Costs nothing and asks nobody. What is damaged is named on standard error, everything else is given, and the exit code is 9.
    The job file is read for its checks, so that what they take out stays out.
    """
    from functools import partial

    import anyio

    from batchflow.cli.delivering import results as write
    from batchflow.config.plugging import none_loaded

    with none_loaded(off=no_plugins):
        return anyio.run(partial(write, run, on=on, state=state))
