"""Close: tell whether a run has nothing left to do, and say so in the store."""

from collections.abc import Sequence

from batchflow.machine.batch import TERMINAL
from batchflow.machine.run import Settled
from batchflow.model.errors import PluginError, SinkError
from batchflow.model.state import Batch, BatchState, Delivery, DeliveryState, Run
from batchflow.model.words import Word
from batchflow.ports.sink import Completing
from batchflow.stages.asked import asked, where_of
from batchflow.stages.deliver import settle
from batchflow.stages.kit import Kit
from batchflow.stages.repack import waiting

SHORT = 16
"""Letters of an id that a person types."""
MOVING_STATES = [state for state in BatchState if state not in TERMINAL | {BatchState.HELD, BatchState.COLLECTED}]
"""States of batches for which there is something to do, now or later."""


async def close(kit: Kit, run: Run, stuck: str = "") -> bool:
    """Call the run done, or pause it because a person must decide; False while there is anything left to do.

    `stuck` says why no more can be packed: then what is in flight comes home first.
    """
    if stuck and await _has_landed(kit):
        await kit.pause(stuck)
        return True
    if not run.read_all or not await at_rest(kit):
        return False
    if held := await kit.store.find(Batch, {"run": run.id, "state": BatchState.HELD}):
        await kit.pause(_held(run, held))
    elif parked := await kit.store.find(Delivery, {"run": run.id, "state": DeliveryState.PARKED}, limit=1):
        why = f"results for sink {parked[0].sink} are kept back: {parked[0].why}"
        await kit.pause(why, Word.SINK_ERROR)
    elif why := "" if run.cancel else await _completed(kit):
        await kit.pause(why, Word.SINK_ERROR)
    else:
        for batch in await kit.every(Batch, {"run": run.id, "state": BatchState.COLLECTED}):
            await settle(kit, batch.id)
        await kit.step_run(Settled(kit.now()), kit.event("run.done", run.id, data={"canceled": run.cancel}))
    return True


async def _completed(kit: Kit) -> str:
    """Let the sinks that want to know mark their targets as whole; says what kept one from it.

    Before the commit that ends the run and not after it: a crash in between repeats this, and forgets nothing.
    """
    for outlet in kit.parts.outlets:
        if isinstance(outlet.sink, Completing):
            try:
                await asked(
                    outlet.sink, "while it marked its target as whole", outlet.sink.complete,
                    within=kit.parts.rules.plugin_timeout, where=where_of(outlet.sink),
                )  # fmt: skip
            except (PluginError, SinkError) as error:
                return f"sink {outlet.name} holds every result, but could not be completed: {error.message}"
    return ""


async def at_rest(kit: Kit) -> bool:
    """Tell whether no batch moves, no row waits to be asked again and no part can be delivered."""
    return not await waiting(kit) and await _has_landed(kit)


async def _has_landed(kit: Kit) -> bool:
    """Tell whether no batch moves and no part can be delivered."""
    if await kit.store.find(Batch, {"run": kit.run, "state": MOVING_STATES}, limit=1):
        return False
    return not await kit.store.find(Delivery, {"run": kit.run, "state": DeliveryState.DUE}, limit=1)


def _held(run: Run, held: Sequence[Batch]) -> str:
    more = f", and so are {len(held) - 1} more" if len(held) > 1 else ""
    why = f"batch {held[0].id} is held{more}: {held[0].why}"
    wish = " The run is to be canceled, and is when that is settled: nothing more is sent." if run.cancel else ""
    return f"{why.rstrip('.')}.{wish} `batchflow reconcile {run.id[:SHORT]}` looks again, or does what you say about it"
