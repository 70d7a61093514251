"""`batchflow retry RUN --only WORDS`: ask dead letters again."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import FoundState, Json, NoPlugins, NoWait, RunName, Wait


def retry(
    run: RunName = "",
    /,
    *,
    only: Annotated[str, Parameter(help="Which dead letters, by outcome: `expired,truncated`. `report` lists them.")],
    no_wait: NoWait = False,
    wait: Wait = None,
    json: Json = False,
    state: FoundState = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Ask dead letters of a finished run again, with all their attempts anew, and deliver what comes of it.

    Their requests are sent as they were. What succeeds now is added to the sinks of good rows; a sink of dead letters
    has got them before and keeps them. `sink_error` asks nothing: answers that a sink's target refused are brought to it
    again, once you have mended it.
    """
    from functools import partial

    import anyio

    from batchflow.cli.operating import retry as ask_again
    from batchflow.cli.running import patience
    from batchflow.config.plugging import none_loaded

    with none_loaded(off=no_plugins):
        return anyio.run(partial(ask_again, run, only, wait=patience(wait, no_wait=no_wait), json=json, state=state))
