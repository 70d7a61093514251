"""What must be true of everything in a store, whatever happened: the laws that `batchflow doctor` holds it against.

The machine never breaks them; a disk, a hand in the database, or a mistake of ours may. Each law is one line that says what
is wrong, in words for the person who reads it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from batchflow.machine.batch import PLACE, RESERVING, TERMINAL
from batchflow.model.state import (
    Batch,
    BatchState,
    Decision,
    Delivery,
    DeliveryState,
    Entry,
    Intent,
    IntentState,
    Run,
    RunState,
    Setback,
)
from batchflow.model.words import Word

S = BatchState
AT_REST = (RunState.DONE, RunState.CANCELED)
CALLED = RESERVING
"""States that follow an intent."""
KNOWN = frozenset({S.RUNNING, S.CANCELING, S.ENDED})
"""States of a batch that the provider has a name for."""
LOOKED_AT = frozenset(PLACE) - {S.SUBMITTING, S.HELD}
"""States that come to nothing unless somebody looks again at a set time."""


def wrongs_of(batch: Batch, intents: Sequence[Intent]) -> Iterator[str]:
    """Say what cannot be true of one batch; `intents` are its calls."""
    calls = {intent.token: intent for intent in intents}
    if batch.count < 1:
        yield f"it holds {batch.count} requests"
    if not 0 <= batch.good <= batch.count:
        yield f"{batch.good} of its {batch.count} requests are good"
    if batch.state in CALLED and batch.token not in calls:
        yield f"it is {batch.state}, and no call of its is written down"
    if batch.state is S.SUBMITTING and batch.token in calls and calls[batch.token].state is not IntentState.OPEN:
        yield f"its call is being made, and is {calls[batch.token].state} already"
    if batch.state in KNOWN and not batch.remote:
        yield f"it is {batch.state}, and the provider's name of it is not known"
    if batch.state is S.COLLECTED and not batch.results:
        yield "it is collected, and has no results"
    if batch.state in LOOKED_AT and batch.wake_at is None:
        yield f"it is {batch.state}, and nobody will ever look at it again"
    if batch.state in TERMINAL and batch.wake_at is not None:
        yield f"it is {batch.state}, and is to be looked at again"


def wrongs_of_run(run: Run, batches: Sequence[Batch], deliveries: Sequence[Delivery]) -> Iterator[str]:
    """Say what cannot be true of a run and its batches together."""
    remotes = Counter(batch.remote for batch in batches if batch.remote and batch.proven)
    yield from (f"{remote} is {times} batches at once" for remote, times in remotes.items() if times > 1)
    known = {batch.id for batch in batches}
    lost = {part.batch for part in deliveries} - known
    yield from (f"results of batch {batch} are to be delivered, and there is no such batch" for batch in sorted(lost))
    if run.state not in AT_REST:
        return
    moving = [batch for batch in batches if batch.state not in TERMINAL]
    if moving:
        yield f"it is {run.state}, and {len(moving)} of its batches are not at rest"
    due = sum(part.state in {DeliveryState.DUE, DeliveryState.PARKED} for part in deliveries)
    if due:
        yield f"it is {run.state}, and {due} parts are not delivered"


def recount(
    batches: Sequence[Batch], intents: int, setbacks: Sequence[Setback], entries: Sequence[Entry], lane: str
) -> dict[str, int]:
    """Count again what the books say, from the things they are about; `lane` holds what never became a request."""
    asked = {batch.id: batch for batch in batches if batch.lane != lane}
    rows = Counter[str]()
    for batch in asked.values():
        rows[PLACE.get(batch.state, "")] += batch.count
        rows["reserved"] += batch.reserved if batch.state in RESERVING else 0
        rows["collected"] += batch.good if batch.state is S.COLLECTED else 0
        rows["delivered"] += batch.good if batch.state is S.DELIVERED else 0
        rows["batches"] += batch.sequence is not None
    for setback in setbacks:
        if setback.decision is Decision.AGAIN and not setback.packed_in:
            rows["waiting"] += setback.count
        elif setback.decision is Decision.DEAD and setback.batch in asked:
            rows["canceled" if setback.word is Word.CANCELED else "dead"] += setback.count
    for entry in entries:
        rows["paid" if entry.kind == "settle" else "waste"] += entry.paid
        rows["twice"] += entry.paid if entry.kind == "twice" else 0
    counted = (
        "waiting",
        "in_flight",
        "collected",
        "delivered",
        "dead",
        "canceled",
        "reserved",
        "batches",
        "paid",
        "waste",
        "twice",
    )
    return {name: rows[name] for name in counted} | {"intents": intents}


def wrongs_of_books(books: Mapping[str, int], counted: Mapping[str, int]) -> Iterator[str]:
    """Say which counters of a run do not say what is there."""
    for name, n in counted.items():
        if books[name] != n:
            yield f"the books say {name} {books[name]:,}, and {n:,} are there"


def wrong_sums(books: Mapping[str, int]) -> Iterator[str]:
    """Say which sums do not hold; they hold at every commit, also while a run goes on."""
    records = sum(books[name] for name in ("skipped", "duplicate", "unbuildable", "built"))
    if books["read"] != records:
        yield f"{books['read']:,} records were read, and {records:,} are accounted for"
    places = sum(books[name] for name in ("waiting", "in_flight", "collected", "delivered", "dead", "canceled"))
    if books["rows"] != places:
        yield f"there are {books['rows']:,} requests, and {places:,} are accounted for"
    yield from (f"{name} is {n:,}" for name, n in books.items() if n < 0)
