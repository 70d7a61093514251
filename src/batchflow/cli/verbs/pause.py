"""`batchflow pause RUN`: send nothing more for now."""

from batchflow.cli.options import FoundState, Json, RunName


def pause(run: RunName = "", /, *, json: Json = False, state: FoundState = None) -> int:
    """Send nothing more of a run for now. What is in flight stays at the provider, and is paid for.

    A run that another process drives is paused by that process. `batchflow resume` goes on with it.
    """
    from functools import partial

    import anyio

    from batchflow.cli.operating import pause as halt

    return anyio.run(partial(halt, run, json=json, state=state))
