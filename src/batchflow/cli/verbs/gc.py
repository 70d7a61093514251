"""`batchflow gc`: remove the payloads of old finished runs."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import FoundState, Json


def gc(
    *,
    keep: Annotated[str, Parameter(help="Leave runs alone that ended less than this long ago.")] = "30d",
    yes: Annotated[bool, Parameter(help="Really remove them; without it they are only listed.")] = False,
    json: Json = False,
    state: FoundState = None,
) -> int:
    """Remove the stored requests and answers of runs that ended long ago. Lists them; `--yes` removes them.

    A run one of whose lost calls may turn up yet is left alone: that is settled 48 hours after it was given up.

    Books, money, dead letters by reason and the delivered results stay. What goes are `show`, `results` and `retry` for
    those runs.
    """
    from functools import partial

    import anyio

    from batchflow.cli.clearing import gc as clear

    return anyio.run(partial(clear, keep, really=yes, json=json, state=state))
