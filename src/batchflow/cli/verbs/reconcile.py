"""`batchflow reconcile [RUN] [BATCH]`: batches whose fate is unknown."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import FoundState, Json, NoPlugins


def reconcile(
    run: Annotated[
        str,
        Parameter(
            help="A job's name (its last run), `job@last`, or the start of a run's id. Default: the newest run with a doubt."
        ),
    ] = "",
    batch: Annotated[str, Parameter(help="Speak of this batch only (the start of its id).")] = "",
    /,
    *,
    absent: Annotated[
        list[str] | None,
        Parameter(help="This batch was never created: send its rows again. If that is wrong, they are paid twice."),
    ] = None,
    adopt: Annotated[
        list[str] | None,
        Parameter(help="BATCH=ID: it is that batch of the provider's. Its token is read before anything is delivered."),
    ] = None,
    give_up: Annotated[
        list[str] | None,
        Parameter(help="Wait for this batch no longer, and send nothing: its rows become dead letters."),
    ] = None,
    batch_id: Annotated[
        list[str] | None,
        Parameter(help="This batch of the provider's is ours: find by the token in its results whose it is."),
    ] = None,
    json: Json = False,
    state: FoundState = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Look for batches that are in doubt or held, and say what is known about the money of each.

    What can be proven is done: a batch whose token is read is adopted, one that is surely absent is made ready to be sent
    again. It sends nothing. The rest is yours to decide, with `--absent`, `--adopt` or `--give-up`; your word is written
    down as an event. Where another process drives the run, that process does it.

    Exit code 0: nothing is in doubt any more. 10: something is, and is looked for again. 5: something is held, and waits
    for your word. 2: a word could not be obeyed.
    """
    from functools import partial

    import anyio

    from batchflow.cli.reconciling import Typed
    from batchflow.cli.reconciling import reconcile as look
    from batchflow.config.plugging import none_loaded

    typed = Typed(tuple(absent or ()), tuple(adopt or ()), tuple(give_up or ()), tuple(batch_id or ()))
    with none_loaded(off=no_plugins):
        return anyio.run(partial(look, run, batch, typed, json=json, state=state))
