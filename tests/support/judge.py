"""What must hold at every commit and at every create call, whatever happens to a run."""

from collections import Counter
from itertools import compress

from bench import RECOUNTED, every, problems_of, recount

from batchflow.machine.batch import TABLE
from batchflow.machine.bitmap import rows_of
from batchflow.model.change import Put
from batchflow.model.state import (
    Batch,
    BatchState,
    Decision,
    Delivery,
    DeliveryState,
    Intent,
    IntentState,
    Run,
    RunState,
    Setback,
)
from batchflow.stages.context import read_context

ENDS = {RunState.DONE, RunState.CANCELED}
UNSETTLED = {BatchState.SUBMITTING, BatchState.IN_DOUBT}
GONE = {BatchState.FAILED, BatchState.CANCELED, BatchState.SPLIT}
ONE_WAY = {IntentState.OPEN: set(IntentState), IntentState.ABSENT: set(IntentState) - {IntentState.REFUSED}}


class Broken(BaseException):
    """A promise that does not hold. Nobody may take it for trouble with the network or with a sink, and go on."""


class Judge:
    """Holds what is in the store against the promises, at every commit."""

    def __init__(self, store, blobs):
        self._store = store
        self._blobs = blobs
        self._keys = {}

    async def before(self, change):
        """Reads what the change is about to replace."""
        entities = [step.entity for step in change if isinstance(step, Put)]
        return [
            (await self._store.get(type(entity), getattr(entity, "token" if type(entity) is Intent else "id")), entity)
            for entity in entities
        ]

    async def after(self, replaced, change):
        """Looks at what changed, and at whether everything still adds up."""
        for old, new in replaced:
            if old is not None:
                self._follows(old, new)
            if type(new) is Batch and new.state is BatchState.SUBMITTING:
                await self._stands_alone(new)
        for run in await self._store.find(Run, {}):
            await self.audit(run)

    def _follows(self, old, new):
        match new:
            case Batch():
                fine = new.state in TABLE[old.state].values() or new.state is old.state
            case Run():
                fine = old.state not in ENDS or new.state is RunState.DRAINING
                fine &= _place(new) >= _place(old) and new.read_all >= old.read_all
            case Intent():
                fine = new.state in ONE_WAY.get(old.state, {old.state})
            case Delivery():
                fine = old.state is not DeliveryState.DONE or (new.state is DeliveryState.DUE and new.receipt is None)
            case Setback():
                fine = not old.packed_in
            case _:
                fine = True
        if not fine:
            raise Broken(f"went backwards: {old} became {new}")

    async def audit(self, run):
        """Counts everything again."""
        books = await self._store.books(run.id)
        if problems := problems_of(books, run):
            raise Broken(f"the books do not balance ({problems}): {dict(books)}")
        counted = await recount(self._store, run.id)
        if counted != {name: books[name] for name in RECOUNTED}:
            raise Broken(f"the books say {dict(books)}, and there are {counted}")
        if doubled := await self._doubled(run):
            raise Broken(f"rows that are in several places, or in none: {doubled}")

    async def _doubled(self, run):
        """Counts the places where each row is; of those that are not in one it gives all batches that have them."""
        setbacks, had, placed = {}, {}, Counter()
        for setback in await every(self._store, Setback, {"run": run.id}):
            setbacks.setdefault(setback.batch, []).append(setback)
        for batch in await every(self._store, Batch, {"run": run.id}):
            keys = await self._keys_of(batch)
            had[batch.id] = keys
            here = [batch.state not in GONE] * len(keys)
            for setback in setbacks.get(batch.id, ()):
                for row in rows_of(setback.rows):
                    here[row] = setback.decision is not Decision.AGAIN or not setback.packed_in
            placed.update(compress(keys, here))
        wrong = {key for keys in had.values() for key in keys if placed[key] != 1}
        return {key: (placed[key], [id for id, keys in had.items() if key in keys]) for key in wrong}

    async def _keys_of(self, batch):
        if batch.id not in self._keys:
            rows = [row.key async for chunk in read_context(self._blobs, batch.context) for row in chunk]
            self._keys[batch.id] = rows
        return self._keys[batch.id]

    async def _stands_alone(self, batch):
        """Looks at what is about to be sent: should its reply be lost, its size must tell it from all that are lost already."""
        for other in await self._store.find(Batch, {"count": batch.count}):
            if other.state in UNSETTLED and other.id != batch.id:
                raise Broken(f"sent beside batch {other.id}, which has as many requests and an unknown fate")

    async def sending(self, token):
        """Looks at a create call that arrives at the server."""
        intent = await self._store.get(Intent, token)
        if intent is None or intent.state is not IntentState.OPEN:
            raise Broken(f"a call was made without an intent: {intent}")


def _place(run):
    return (run.position.cursor or {"at": 0})["at"], run.position.skip
