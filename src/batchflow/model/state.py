"""The rows of the state store: what a run, a batch, a delivery *is* at a version.

Entities carry `version` and change only by compare-and-swap. Facts (`Remote`, `Entry`, `Event`) carry none: they are
inserted and never guarded, because a fact about money stays true whoever lost a race.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from batchflow.model.blob import Blob
from batchflow.model.money import Nano
from batchflow.model.record import Position
from batchflow.model.words import Word


class RunState(StrEnum):
    """Where a run stands."""

    PLANNING = "planning"
    RUNNING = "running"
    DRAINING = "draining"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


class BatchState(StrEnum):
    """Where a batch stands."""

    DRAFTED = "drafted"
    SUBMITTING = "submitting"
    IN_DOUBT = "in_doubt"
    HELD = "held"
    RUNNING = "running"
    CANCELING = "canceling"
    ENDED = "ended"
    COLLECTED = "collected"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELED = "canceled"
    SPLIT = "split"


class DeliveryState(StrEnum):
    """Where one part stands on its way to one sink."""

    DUE = "due"
    PARKED = "parked"
    DONE = "done"
    REFUSED = "refused"
    """The sink will not have these rows: they are dead letters, until somebody asks to bring them again."""


class IntentState(StrEnum):
    """What is known about one call that may have cost money."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    ABSENT = "absent"


class Decision(StrEnum):
    """What is to become of rows that did not succeed."""

    AGAIN = "again"
    DEAD = "dead"
    KEEP = "keep"


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Whose account a batch was sent from. Empty fields were not known at the time."""

    base_url: str
    key: str
    organization: str = ""
    workspace: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One pass of a job over its source."""

    id: str
    version: int = 1
    job: str
    file: str = ""
    state: RunState = RunState.RUNNING
    why: str = ""
    word: Word | None = None
    config: str = ""
    """A hash of everything in the job that changes what is asked or where it goes."""
    summary: dict[str, Any] = {}
    """The job as it was when the run was last taken up, secrets left out: for people, `show` and `ps`."""
    fingerprint: str | None = None
    position: Position = Position()
    read_all: bool = False
    created_at: float = 0.0
    ended_at: float | None = None
    cancel: bool = False
    by_operator: bool = False
    """Paused because somebody asked for it: only `resume` goes on with it, not whatever calls `run` next."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows that travel together; its life is drawn in `machine.batch`."""

    id: str
    version: int = 1
    run: str
    state: BatchState = BatchState.DRAFTED
    lane: str = "batch"
    wake_at: float | None = None
    count: int
    bytes: int
    retry: bool = False
    reserved: Nano = 0
    requests: Blob | None = None
    context: Blob | None = None
    results: tuple[Blob, ...] = ()
    token: str = ""
    """The token under which rows are addressed now; empty before the first intent."""
    tries: int = 0
    """Failed attempts at the step in hand; reset by each step that succeeds."""
    remote: str = ""
    proven: bool = False
    """The remote batch is ours beyond doubt: its create was answered to us, or its token was read."""
    cancel: bool = False
    submitted_at: float | None = None
    expires_at: float | None = None
    ended_at: float | None = None
    blanket: Word | None = None
    """The word of every row that has no result line: for batches that never ran."""
    why: str = ""
    good: int = 0
    """Rows collected for delivery: those that succeeded, and those accepted as they are."""
    sequence: int | None = None
    """The order in which batches of a run were collected."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One POST that we were about to make: committed before it, so that a lost reply can be found again."""

    token: str
    version: int = 1
    run: str
    batch: str
    count: int
    state: IntentState = IntentState.OPEN
    at: float
    last_byte_at: float
    """The last moment at which a byte may have left; moved forward while we cannot know."""
    watermark: float
    """Creation time of the newest batch seen before the call, by the server's clock."""
    binding: Binding
    healthy: int = 0
    """Full listings since the call that showed no candidate."""
    watch_until: float | None = None
    """An absent token is looked out for until then."""
    overruled: tuple[str, ...] = ()
    """Batches that the listing showed when an operator said that this call had made none."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One part on its way to one sink. Its id is the part's name: run, batch, sink, generation."""

    id: str
    version: int = 1
    run: str
    batch: str
    sink: str
    generation: int = 0
    state: DeliveryState = DeliveryState.DUE
    wake_at: float | None = 0.0
    rows: int = 0
    only: bytes = b""
    """A bitmap of the rows that it is about; empty for all that the sink sees. A part of refused rows comes after another."""
    attempts: int = 0
    receipt: dict[str, Any] | None = None
    sequence: int = 0
    why: str = ""


class Outlet(msgspec.Struct, frozen=True, kw_only=True):
    """What a sink last confirmed in a run; handed back to it when it is opened again."""

    id: str
    version: int = 1
    run: str
    sink: str
    receipt: dict[str, Any] | None = None


class Setback(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one batch that share an attempt, a failure word and a decision. Never a row per record."""

    id: str
    version: int = 1
    run: str
    batch: str
    attempt: int
    word: Word
    decision: Decision
    count: int
    rows: bytes
    """A bitmap: bit n is row n, lowest bit first."""
    change: dict[str, Any] = {}
    """How the next request differs; read by `machine.amend`."""
    packed_in: str = ""
    wake_at: float | None = None
    key: str = ""
    sample: str = ""
    """The record of the first row, and what was said of it."""
    generation: int = 0
    """The parts that bring these rows to the sinks, if they are dead: rows that die later than their batch come in new parts."""


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """The fact that the provider created a batch for us."""

    id: str
    run: str
    batch: str
    token: str
    at: float
    how: str = "created"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger; the id makes a second telling harmless.

    `kind` is settle for what was paid, and for what of it bought nothing: waste, or twice where a batch was paid again.
    """

    id: str
    run: str
    batch: str
    kind: str
    paid: Nano
    listed: Nano
    rows: int
    input_tokens: int
    output_tokens: int
    at: float


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, for people and for `on_event`."""

    id: str
    run: str
    at: float
    kind: str
    subject: str = ""
    text: str = ""
    data: dict[str, Any] = {}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator asked of a run from another process; its driver obeys and marks it done."""

    id: str
    version: int = 1
    run: str
    verb: str
    data: dict[str, Any] = {}
    at: float
    done_at: float | None = None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who drives a run, and until when unless renewed (by the store's clock)."""

    name: str
    owner: str
    host: str
    pid: int
    until: float
    since: float = 0.0
    """When this owner took it; renewals leave it as it was."""


class Due(msgspec.Struct, frozen=True):
    """One thing whose time has come: a step is addressed by these three scalars and nothing else."""

    kind: str
    id: str
    wake_at: float


SEEN_AT_ONCE = 1000


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """All that the driver of a run goes by when it decides what to begin."""

    run: Run | None
    wishes: Sequence[Wish]
    """Those that nobody has seen to, the oldest `SEEN_AT_ONCE` of them."""
    moving: Sequence[Batch]
    """The batches in the states that were asked for, oldest first."""
    waiting: Sequence[Setback]
    """Rows that are to be asked again and are in no batch yet; the oldest `SEEN_AT_ONCE` setbacks."""
    due: Sequence[Due]
    """Batches, deliveries and waiting setbacks whose `wake_at` has come, oldest first."""
    next_wake: float | None
    """The earliest `wake_at` of all these, past or future; None when nothing is scheduled."""


COUNTERS = (
    "read", "skipped", "duplicate", "unbuildable", "built",
    "rows", "waiting", "in_flight", "collected", "delivered", "dead", "canceled",
    "reserved", "paid", "listed", "waste", "twice", "input_tokens", "output_tokens", "retried", "intents", "batches",
)  # fmt: skip
"""The books of a run. Each changes in the very commit that changes the state it counts."""
