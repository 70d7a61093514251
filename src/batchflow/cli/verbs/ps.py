"""`batchflow ps`: the runs there are."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import FoundState, Json


def ps(
    *,
    all: Annotated[bool, Parameter(help="List every run, not only the newest 20.")] = False,
    json: Json = False,
    state: FoundState = None,
) -> int:
    """List runs, the newest first: where each stands, its books, its cost, and who drives it.

    In `--json`, `books` are the store's own counters (money in nano-dollars) and `balanced` says whether every record
    and every request is in exactly one place; `money` is in dollars.
    """
    from functools import partial

    import anyio

    from batchflow.cli.looking import ps as look

    return anyio.run(partial(look, every_run=all, json=json, state=state))
