"""`batchflow show KEY`: follow one record."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import FoundState, Json, NoPlugins


def show(
    key: Annotated[str, Parameter(help="The record's key.")],
    /,
    *,
    run: Annotated[
        str,
        Parameter(help="A job's name, `job@last`, or the start of a run's id. Default: the newest run with that key."),
    ] = "",
    json: Json = False,
    state: FoundState = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Follow one record by its key: where it came from, the request, every attempt, the answer, where it went."""
    from functools import partial

    import anyio

    from batchflow.cli.showing import show as look
    from batchflow.config.plugging import none_loaded

    with none_loaded(off=no_plugins):
        return anyio.run(partial(look, key, wanted=run, json=json, state=state))
