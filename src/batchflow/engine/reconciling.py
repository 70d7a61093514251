"""Ruling on batches in doubt where no driver is alive: under the run's lease, and nothing is sent."""

from collections.abc import Sequence

import anyio

from batchflow.engine.lease import DriverLease
from batchflow.machine.ruling import Ruling
from batchflow.model import errors
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit
from batchflow.stages.reopen import doubt_dead_calls
from batchflow.stages.rule import Answer, rule


async def reconcile(kit: Kit, lease: DriverLease, rulings: Sequence[Ruling]) -> Answer:
    """Do what is said, look at all that is in doubt, and let go of the run again."""
    await lease.take_over()
    try:
        return await _while_held(kit, lease, rulings)
    finally:
        with anyio.CancelScope(shield=True):
            await lease.give_back()


async def _while_held(kit: Kit, lease: DriverLease, rulings: Sequence[Ruling]) -> Answer:
    lost: list[errors.Locked] = []
    failed: errors.BatchflowError | None = None
    found = Answer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lease.keep, lost.append)  # once it is lost, no commit succeeds
        try:
            await doubt_dead_calls(kit)
            found = await rule(kit, rulings, Evidence())
        except errors.BatchflowError as error:
            failed = error
        tasks.cancel_scope.cancel()
    if lost or failed:
        raise failed or lost[0]
    return found
