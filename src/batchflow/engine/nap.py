"""How the driver waits: for a step to end, for a time, or for somebody's wish."""

import anyio

from batchflow.model.errors import BatchflowError
from batchflow.model.state import Wish
from batchflow.ports.clock import Clock
from batchflow.stages.kit import Kit

LISTEN = 0.5
"""How often wishes typed elsewhere are looked for."""


async def nap(kit: Kit, clock: Clock, bell: anyio.Event, seconds: float) -> None:
    """Sleep until the bell rings, so many seconds are over, or an operator wishes something."""
    async with anyio.create_task_group() as around:
        around.start_soon(_alarm, kit, clock, seconds, around.cancel_scope)
        await bell.wait()
        around.cancel_scope.cancel()


async def _alarm(kit: Kit, clock: Clock, left: float, scope: anyio.CancelScope) -> None:
    """Wake the loop at its time, or sooner for a wish: one small question instead of a whole round.

    No timer counts the time for which a machine is suspended; the boot clock does.
    """
    until = clock.boot() + left
    while left > 0 and clock.boot() < until:
        await clock.sleep(min(left, LISTEN))
        left -= LISTEN
        if left > 0 and await _is_wanted(kit):
            break
    scope.cancel()


async def _is_wanted(kit: Kit) -> bool:
    try:
        return bool(await kit.store.find(Wish, {"run": kit.run, "done_at": None}, limit=1))
    except BatchflowError:
        return True  # the next round meets the same trouble, and knows what to do about it
