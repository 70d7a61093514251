"""`batchflow resume [RUN]`: go on with one run."""

from batchflow.cli.options import FoundState, Json, NoPlugins, NoWait, RunName, Wait


def resume(
    run: RunName = "",
    /,
    *,
    no_wait: NoWait = False,
    wait: Wait = None,
    json: Json = False,
    state: FoundState = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Go on with a paused, failed or interrupted run, with its job file as it is now.

    Batches that are held, and results that a sink could not take, are tried again.
    """
    from functools import partial

    import anyio

    from batchflow.cli.operating import resume as go_on
    from batchflow.cli.running import patience
    from batchflow.config.plugging import none_loaded

    with none_loaded(off=no_plugins):
        return anyio.run(partial(go_on, run, wait=patience(wait, no_wait=no_wait), json=json, state=state))
