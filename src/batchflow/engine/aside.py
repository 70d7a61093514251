"""Work on a run that nobody drives, under its lease: nothing of it is sent, and no driver can begin meanwhile."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from batchflow.engine.lease import DriverLease
from batchflow.model import errors

T = TypeVar("T")


async def aside(lease: DriverLease, work: Callable[[], Awaitable[T]]) -> T:
    """Take the lease, do the work, and let go of the run again."""
    await lease.take_over()
    try:
        return await _while_held(lease, work)
    finally:
        with anyio.CancelScope(shield=True):
            await lease.give_back()


async def _while_held(lease: DriverLease, work: Callable[[], Awaitable[T]]) -> T:
    lost: list[errors.Locked] = []
    failed: list[errors.BatchflowError] = []
    done: list[T] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lease.keep, lost.append)  # once it is lost, no commit succeeds
        try:
            done.append(await work())
        except errors.BatchflowError as error:
            failed.append(error)
        tasks.cancel_scope.cancel()
    for error in [*failed, *lost]:
        raise error
    return done[0]
