"""`batchflow cancel RUN`: end a run early."""

from batchflow.cli.options import FoundState, Json, NoPlugins, RunName


def cancel(
    run: RunName = "",
    /,
    *,
    json: Json = False,
    state: FoundState = None,
    no_plugins: NoPlugins = False,
) -> int:
    """End a run early: send nothing more, cancel what is in flight, and keep what was answered and is paid for.

    A run that another process drives is ended by that process; else it is done here, which takes as long as the
    provider needs to let go of its batches.
    """
    from functools import partial

    import anyio

    from batchflow.cli.operating import cancel as end
    from batchflow.config.plugging import none_loaded

    with none_loaded(off=no_plugins):
        return anyio.run(partial(end, run, json=json, state=state))
