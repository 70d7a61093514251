"""Removing payloads of runs that ended long ago."""

import time
from pathlib import Path

from batchflow.cli.exits import Exit
from batchflow.cli.figures import moment_of, size
from batchflow.cli.looking import opened_store
from batchflow.cli.output import data, facts, remark
from batchflow.cli.place import found
from batchflow.cli.stores import opened_objects
from batchflow.cli.wishes import lent
from batchflow.engine.ids import uuid7
from batchflow.extend.quantities import seconds
from batchflow.model.change import Note
from batchflow.model.errors import UserError
from batchflow.model.state import Event, Run
from batchflow.ports.blobs import BlobStore
from batchflow.ports.state import StateStore
from batchflow.reports.housekeeping import CLEARED, Clearable, clearable, may_be_cleared
from batchflow.reports.runs import SHORT


async def gc(keep: str, *, really: bool, json: bool, state: Path | None) -> Exit:
    """List what could go, or remove it."""
    now = time.time()
    before = now - _age(keep)
    place = found(state)
    async with opened_store(place, looking=not really) as store:
        old = [one async for one in clearable(store, before=before, now=now)]
        if really:
            async with opened_objects(place) as blobs:
                old = [one for one in old if await _clear(store, blobs, one, before=before)]
    if json:
        facts(old)
    else:
        _tell(old, keep, really=really)
    return Exit.DELIVERED


async def _clear(store: StateStore, blobs: BlobStore, one: Clearable, *, before: float) -> bool:
    """Say that they are gone, then remove them: a reader must never find half of them and no word about it.

    Somebody may have woken the run since it was listed: then it is left alone.
    """
    run = await store.get(Run, one.run)
    assert run is not None
    async with lent(store, run) as holding:
        now = await store.get(Run, one.run)
        if now is None or not await may_be_cleared(store, now, before=before, now=time.time()):
            return False
        text = f"{size(one.bytes)} of requests and answers were removed by `batchflow gc`"
        event = Event(id=uuid7(), run=one.run, at=time.time(), kind=CLEARED, text=text)
        await store.commit((holding, Note(event)))
        names = [name async for name in blobs.list(f"{one.run}/")]
        for name in names:
            await blobs.delete(name)
    return True


def _age(keep: str) -> float:
    try:
        return seconds(keep)
    except ValueError as error:
        raise UserError(f"`--keep {keep}` is not understood: {error}") from error


def _tell(old: list[Clearable], keep: str, *, really: bool) -> None:
    for one in old:
        data(f"{one.run[:SHORT]}  {one.job}  ended {moment_of(one.ended)}  {size(one.bytes)}")
    total = size(sum(one.bytes for one in old))
    if not old:
        remark(f"no run ended more than {keep} ago; nothing to remove")
    elif really:
        remark(f"removed {total}")
    else:
        remark(f"{total} could be removed; nothing was. `batchflow gc --keep {keep} --yes` removes it")
