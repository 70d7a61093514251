"""Wishes: what an operator wants of a run that another process may be driving. The store carries them; the driver obeys."""

import os
import socket
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec

from batchflow.engine.ids import uuid7
from batchflow.engine.lease import is_dead
from batchflow.machine.run import BY_OPERATOR, step
from batchflow.model.change import Holding, Note, Put
from batchflow.model.state import Event, Lease, Run, Wish
from batchflow.ports.state import StateStore

PATIENCE = 10.0
"""Seconds in which a driver that is alive has looked: it looks twice a second, unless its machine sleeps."""
TTL = 30.0


async def wish(store: StateStore, run: Run, verb: str, data: Mapping[str, Any] | None = None) -> Wish:
    """Write a wish down."""
    made = Wish(id=uuid7(), run=run.id, verb=verb, data=dict(data or {}), at=time.time())
    await store.commit((Put(made),))
    return made


async def obeyed(store: StateStore, made: Wish) -> bool:
    """Wait until a driver has taken note; False when none did in time."""
    with anyio.move_on_after(PATIENCE):
        while True:
            found = await store.get(Wish, made.id)
            if found is not None and found.done_at is not None:
                return True
            await anyio.sleep(0.1)
    return False


async def answered(store: StateStore, made: Wish) -> Wish | None:
    """Wait for the answer to a wish; None when no driver began with it in time. One that has begun is waited for."""
    patient_until = anyio.current_time() + PATIENCE
    while True:
        found = await store.get(Wish, made.id)
        if found is not None and found.done_at is not None:
            return found
        begun = found is not None and "taken" in found.data
        if not begun and anyio.current_time() > patient_until:
            return None
        if begun and await store.holder(f"run/{made.run}") is None:
            return None
        await anyio.sleep(0.1)


async def withdraw(store: StateStore, made: Wish) -> None:
    """Take a wish back that nobody has obeyed."""
    found = await store.get(Wish, made.id)
    if found is not None and found.done_at is None:
        await store.commit((Put(msgspec.structs.replace(found, version=found.version + 1, done_at=time.time())),))


async def driver_of(store: StateStore, run: Run) -> Lease | None:
    """Find the process that drives a run. One of this machine that is dead does not: its lease is anybody's."""
    lease = await store.holder(f"run/{run.id}")
    return None if lease is not None and is_dead(lease, socket.gethostname()) else lease


async def pause_unattended(store: StateStore, run: Run) -> Run:
    """Pause a run that nobody drives, so that nobody goes on with it by accident."""
    async with lent(store, run) as holding:
        paused = step(run, BY_OPERATOR)
        event = Event(id=uuid7(), run=run.id, at=time.time(), kind="run.paused", text=paused.why)
        await store.commit((holding, Put(paused), Note(event)))
        return paused


@asynccontextmanager
async def lent(store: StateStore, run: Run) -> AsyncGenerator[Holding]:
    """Hold the right to drive a run for a moment; `Locked` names who has it."""
    name, owner = f"run/{run.id}", uuid7()
    if await driver_of(store, run) is None and (dead := await store.holder(name)) is not None:
        await store.release(name, owner=dead.owner)
    await store.lease(name, owner=owner, host=socket.gethostname(), pid=os.getpid(), ttl=TTL)
    try:
        yield Holding(name, owner)
    finally:
        await store.release(name, owner=owner)
