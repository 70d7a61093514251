"""Why a run does not move: everything in it that waits, one sentence each."""

from collections.abc import AsyncGenerator, Callable

from batchflow.machine.run import LIVE
from batchflow.model.state import Batch, BatchState, Binding, Delivery, DeliveryState, Lease, Run, RunState, Wish
from batchflow.ports.state import StateStore
from batchflow.reports.doubts import doubts
from batchflow.reports.findings import Finding, Grade
from batchflow.reports.paging import every
from batchflow.reports.runs import SHORT, instant
from batchflow.reports.watched import watched

UNMOVED = (BatchState.SUBMITTING, BatchState.DRAFTED, BatchState.RUNNING, BatchState.CANCELING, BatchState.ENDED)
"""States of batches that tell by their `why` what keeps them there."""
UNDELIVERED = (DeliveryState.PARKED, DeliveryState.DUE, DeliveryState.REFUSED)
UNHEARD = 30.0
"""A wish that a living driver has not obeyed for so long is stuck."""


async def stuck(
    store: StateStore,
    run: Run,
    *,
    driver: Lease | None,
    dead: Lease | None,
    now: float,
    here: Callable[[], Binding | None],
) -> AsyncGenerator[Finding]:
    """Find all that waits in a run; `driver` is who drives it, and `dead` who did and is gone without giving it back.

    `here` says as whom the job would come to its provider.
    """
    at_rest = run.state in {RunState.DONE, RunState.CANCELED}
    if dead is not None:
        yield _left_behind(run, dead)
    unclear = await doubts(store, run, here=here)
    if not at_rest and driver is None and not any(doubt.batch in run.why for doubt in unclear):
        yield _undriven(run)
    for doubt in unclear:
        grade = Grade.PERSON if doubt.state == BatchState.HELD else Grade.PASSES if driver else Grade.RESUME
        say = (f"batchflow reconcile {run.id[:SHORT]} {doubt.batch[:SHORT]}", *doubt.say)
        yield Finding(grade=grade, run=run.id, subject=doubt.batch, sentence=doubt.sentence, say=say)
    async for batch in every(store, Batch, {"run": run.id, "state": UNMOVED}):
        if found := _batch(run, batch, driven=driver is not None):
            yield found
    async for part in every(store, Delivery, {"run": run.id, "state": UNDELIVERED}):
        if found := _part(run, part):
            yield found
    async for found in _pending(store, run, driver=driver, now=now):
        yield found


async def _pending(store: StateStore, run: Run, *, driver: Lease | None, now: float) -> AsyncGenerator[Finding]:
    """Find what somebody asked for and nobody has done, and what may still turn up."""
    for wish in await store.find(Wish, {"run": run.id, "done_at": None}):
        if now - wish.at > UNHEARD:
            yield _unheard(run, wish, driver)
    for one in await watched(store, run, now=now):
        yield Finding(grade=Grade.PASSES, run=run.id, subject=one.batch, sentence=one.sentence)


def _left_behind(run: Run, dead: Lease) -> Finding:
    return Finding(
        grade=Grade.RESUME,
        run=run.id,
        subject=dead.name,
        sentence=(
            f"process {dead.pid} died while it drove run {run.id[:SHORT]}: its lease lapses at {instant(dead.until)}, and "
            "whoever resumes the run on this machine takes it over at once."
        ),
        say=(f"batchflow resume {run.id[:SHORT]}",),
        repair=True,
    )


def _undriven(run: Run) -> Finding:
    resume = (f"batchflow resume {run.id[:SHORT]}",)
    name = f"run {run.id[:SHORT]} of {run.job}"
    if run.state in LIVE:
        sentence = f"{name} is {run.state}, and no process drives it: what is in flight stays at the provider."
        return Finding(grade=Grade.RESUME, run=run.id, subject=run.id, sentence=sentence, say=resume)
    why = f": {run.why.rstrip('.')}" if run.why else ""
    grade = Grade.RESUME if run.state is RunState.PLANNING else Grade.PERSON
    return Finding(grade=grade, run=run.id, subject=run.id, sentence=f"{name} is {run.state}{why}.", say=resume)


def _batch(run: Run, batch: Batch, *, driven: bool) -> Finding | None:
    name = f"batch {batch.id[:SHORT]} ({batch.count:,} requests)"
    if batch.state is BatchState.SUBMITTING:
        sentence = (
            f"{name} was being sent when its process died: whether it was created is looked up when the run is resumed."
        )
        say = (f"batchflow reconcile {run.id[:SHORT]}",)
        return None if driven else Finding(grade=Grade.RESUME, run=run.id, subject=batch.id, sentence=sentence, say=say)
    if not batch.why or run.state not in LIVE:
        return None  # of a run that is paused, the pause says it
    match batch.state:
        case BatchState.DRAFTED:
            what = "is not sent yet"
        case BatchState.ENDED:
            what = f"has ended as {batch.remote} and is not collected yet"
        case _:
            what = "is at the provider"
    grade = Grade.PASSES if driven else Grade.RESUME
    return Finding(grade=grade, run=run.id, subject=batch.id, sentence=f"{name} {what}: {batch.why.rstrip('.')}.")


def _part(run: Run, part: Delivery) -> Finding | None:
    """Speak of parts that a sink would not take; those whose turn has not come are not stuck."""
    if part.state is DeliveryState.REFUSED:
        return _refused(run, part)
    if part.state is not DeliveryState.PARKED and not part.attempts:
        return None
    given_up = "and waits to be told to try again" if part.state is DeliveryState.PARKED else "and is tried again"
    sentence = (
        f"{part.rows:,} results of batch {part.batch[:SHORT]} are stored and paid for; sink {part.sink} did not take them "
        f"({part.attempts} tries) {given_up}: {part.why.rstrip('.')}."
    )
    parked = part.state is DeliveryState.PARKED
    say = (f"batchflow resume {run.id[:SHORT]}",) if parked else ()
    return Finding(
        grade=Grade.PERSON if parked else Grade.PASSES, run=run.id, subject=part.id, sentence=sentence, say=say
    )


def _refused(run: Run, part: Delivery) -> Finding:
    sentence = (
        f"sink {part.sink} refused {part.rows:,} of the rows of batch {part.batch[:SHORT]}, whose answers are stored and paid "
        f"for, and took the others; the first: {part.why.rstrip('.')}."
    )
    say = (f"batchflow retry {run.id[:SHORT]} --only sink_error",)
    return Finding(grade=Grade.PERSON, run=run.id, subject=part.id, sentence=sentence, say=say)


def _unheard(run: Run, wish: Wish, driver: Lease | None) -> Finding:
    who = (
        f"pid {driver.pid} on {driver.host} has not obeyed it" if driver else "nobody drives the run who could obey it"
    )
    sentence = f"somebody asked run {run.id[:SHORT]} to {wish.verb} at {instant(wish.at)}, and {who}."
    return Finding(grade=Grade.RESUME, run=run.id, subject=wish.id, sentence=sentence)
