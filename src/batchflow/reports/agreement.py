"""Do the store and the objects agree, with each other and with the laws? Reads all, changes nothing.

A run may be going on while this is read. So what is judged is what holds at every moment: an object is there before the
row that names it, and sums hold at every commit. What holds only at rest (counters against entities, objects without a
row) is judged only where nobody drives the run.
"""

from collections.abc import AsyncGenerator, Sequence

import msgspec

from batchflow.machine.run import OPEN
from batchflow.machine.soundness import recount, wrong_sums, wrongs_of, wrongs_of_books, wrongs_of_run
from batchflow.model.blob import Blob
from batchflow.model.errors import ObjectDamaged
from batchflow.model.state import Batch, BatchState, Delivery, Entry, Intent, Run, Setback
from batchflow.ports.blobs import BlobStore
from batchflow.ports.state import StateStore
from batchflow.reports.findings import Finding, Grade
from batchflow.reports.housekeeping import cleared
from batchflow.reports.paging import every
from batchflow.reports.runs import SHORT
from batchflow.stages.mend import COPY
from batchflow.stages.reject import LANE

RESULTS = "results-"
REPAIR = ("batchflow doctor --repair",)
FETCH = "`--repair` fetches the answers again at no cost, as long as the provider has them (29 days)."


class Looked(msgspec.Struct):
    """How much was read."""

    runs: int = 0
    batches: int = 0
    objects: int = 0
    bytes: int = 0


async def laws(store: StateStore, run: Run, looked: Looked, *, driven: bool) -> AsyncGenerator[Finding]:
    """Hold one run against the laws."""
    batches = [batch async for batch in every(store, Batch, {"run": run.id})]
    looked.runs, looked.batches = looked.runs + 1, looked.batches + len(batches)
    books = await store.books(run.id)
    for wrong in wrong_sums(books):
        yield _damage(run, run.id, f"the books of run {run.id[:SHORT]} do not balance: {wrong}")
    if driven:
        return
    intents = [intent async for intent in every(store, Intent, {"run": run.id})]
    for batch in batches:
        for wrong in wrongs_of(batch, [intent for intent in intents if intent.batch == batch.id]):
            yield _damage(run, batch.id, f"batch {batch.id[:SHORT]} cannot be so: {wrong}")
    parts = [part async for part in every(store, Delivery, {"run": run.id})]
    for wrong in wrongs_of_run(run, batches, parts):
        yield _damage(run, run.id, f"run {run.id[:SHORT]} cannot be so: {wrong}")
    setbacks = [setback async for setback in every(store, Setback, {"run": run.id})]
    entries = [entry async for entry in every(store, Entry, {"run": run.id})]
    for wrong in wrongs_of_books(books, recount(batches, len(intents), setbacks, entries, LANE)):
        yield _damage(run, run.id, f"the books of run {run.id[:SHORT]} are wrong: {wrong}")


async def objects(
    store: StateStore, blobs: BlobStore, run: Run, looked: Looked, *, quick: bool
) -> AsyncGenerator[Finding]:
    """Look whether every object that a run names is there and whole; `quick` looks at their sizes only."""
    if await cleared(store, run) is not None:
        return
    async for batch in every(store, Batch, {"run": run.id}):
        for blob in named_by(batch):
            looked.objects += 1
            looked.bytes += blob.size
            error = await _damaged(blobs, blob, quick=quick)
            if error is not None and blob in named_by(await store.get(Batch, batch.id)):
                yield _lost(run, batch, blob, error)


async def orphans(store: StateStore, blobs: BlobStore, run: Run) -> AsyncGenerator[Finding]:
    """Find objects that no row names, in a run that nobody drives: elsewhere one may just be in the making."""
    names = [name async for name in blobs.list(f"{run.id}/")]  # before the rows: an object is there before its row
    named = await all_named(store, run)
    for name in sorted(set(names) - named):
        if await is_paid(store, name):
            text = f"object {name} holds answers that were paid for, and their batch is not in the store: is it older than its objects?"
            yield Finding(grade=Grade.DAMAGE, run=run.id, subject=name, sentence=text)
        else:
            text = f"object {name} is left over, of a process that died or of answers that were fetched again: nothing refers to it."
            yield Finding(
                grade=Grade.PASSES,
                run=run.id,
                subject=name,
                sentence=text,
                say=REPAIR,
                repair=True,
            )


async def strangers(blobs: BlobStore, known: Sequence[str]) -> AsyncGenerator[Finding]:
    """Find objects of runs that are not in the store. They may be all that is left of what was paid for, so they stay."""
    for id in sorted({name.partition("/")[0] async for name in blobs.list()} - set(known)):
        text = f"there are objects of run {id}, which is not in the store: was it made anew, or put back from an older copy?"
        yield Finding(grade=Grade.DAMAGE, run=id, subject=id, sentence=text)


async def all_named(store: StateStore, run: Run) -> set[str]:
    """Give the names of all objects that a run's rows name."""
    return {blob.name async for batch in every(store, Batch, {"run": run.id}) for blob in named_by(batch)}


async def is_paid(store: StateStore, name: str) -> bool:
    """Tell whether an object holds answers of a batch that is not in the store. Those of a known one can be had again."""
    _, batch, part = (*name.split("/"), "", "")[:3]
    return part.startswith(RESULTS) and await store.get(Batch, batch) is None


def named_by(batch: Batch | None) -> tuple[Blob, ...]:
    """Give the objects that a batch names."""
    if batch is None:
        return ()
    return tuple(blob for blob in (batch.requests, batch.context, *batch.results) if blob is not None)


async def _damaged(blobs: BlobStore, blob: Blob, *, quick: bool) -> ObjectDamaged | None:
    try:
        async for _ in blobs.read(blob, length=min(1, blob.size) if quick else None):
            pass
    except ObjectDamaged as error:
        return error
    return None


def _lost(run: Run, batch: Batch, blob: Blob, error: ObjectDamaged) -> Finding:
    """Say what an object is missed for, and what can be done without it."""
    remedy, say = _remedy(run, batch, blob)
    return Finding(
        grade=Grade.DAMAGE,
        run=run.id,
        subject=blob.name,
        sentence=f"{error.message.rstrip('.')}. It is {_meaning(batch, blob)} {remedy}",
        say=say,
        repair=say == REPAIR,
    )


def without_repair(found: Finding) -> Finding:
    """Say what is left to do about a thing that `--repair` has tried and cannot mend."""
    return msgspec.structs.replace(found, sentence=found.sentence.replace(FETCH, f"{COPY}."), say=(), repair=False)


def _remedy(run: Run, batch: Batch, blob: Blob) -> tuple[str, tuple[str, ...]]:
    if blob in batch.results and batch.remote:
        return FETCH, REPAIR
    if blob == batch.requests and batch.state is BatchState.DRAFTED and run.state in OPEN:
        cancel = f"batchflow cancel {run.id[:SHORT]}"
        return f"Nothing of it was sent. {COPY}; `{cancel}` ends the run without it.", (cancel,)
    if blob == batch.requests:
        return f"Only showing its requests, and asking them again, needs it. {COPY}.", ()
    if blob == batch.context:
        return f"Without it nobody can tell which record an answer belongs to. {COPY}.", ()
    return f"{COPY}.", ()


def _meaning(batch: Batch, blob: Blob) -> str:
    what = blob.name.rpartition("/")[2].partition("-")[0]
    return f"the {what} of batch {batch.id[:SHORT]} ({batch.count:,} requests, {batch.state})."


def _damage(run: Run, subject: str, sentence: str) -> Finding:
    return Finding(grade=Grade.DAMAGE, run=run.id, subject=subject, sentence=f"{sentence.rstrip('.')}.")
