"""`batchflow report [RUN]`: what came of a run."""

from batchflow.cli.options import FoundState, Json, RunName


def report(run: RunName = "", /, *, json: Json = False, state: FoundState = None) -> int:
    """Say what came of a run: delivered, asked again, dead letters by reason, tokens, cost beside list price, waste."""
    from functools import partial

    import anyio

    from batchflow.cli.looking import report as look

    return anyio.run(partial(look, run, json=json, state=state))
