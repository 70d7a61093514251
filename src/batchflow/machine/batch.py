"""The life of a batch: everything that affects its state stands in this file.

    drafted     Intended -> submitting, Deferred -> drafted, Withdrawn -> canceled, TurnedUp -> running, Questioned -> in_doubt
    submitting  Accepted -> running, PutOff -> drafted, Rejected -> failed, Oversized -> split, ReplyLost -> in_doubt
    in_doubt    Accepted -> running, Adopted -> running, TurnedUp -> running, Doubted -> in_doubt, Vanished -> drafted, GivenUp -> held, WrittenOff -> failed
    held        Accepted -> running, Adopted -> running, TurnedUp -> running, Vanished -> drafted, Reopened -> in_doubt, WrittenOff -> failed
    running     Seen -> running, Deferred -> running, CancelSent -> canceling, Finished -> ended, Disowned -> in_doubt, GivenUp -> held
    canceling   Seen -> canceling, Deferred -> canceling, Finished -> ended, Disowned -> in_doubt, GivenUp -> held
    ended       Collected -> collected, Deferred -> ended, Disowned -> in_doubt, GivenUp -> held
    collected   Delivered -> delivered, Declined -> collected, Refetched -> collected
    delivered   Recalled -> collected, Refetched -> delivered

and delivered, failed, canceled, split are the ends; nothing leads out of one but a person's word (Recalled). The straight way is drafted, submitting, running, ended, collected,
delivered; `docs/reference/state-machine.md` is this table as a drawing.

Two rules carry the money. A row sits in exactly one place of the books (`PLACE`), and a batch holds its reservation from
the intent until it is known what was billed (`RESERVING`); `step` returns the moves between them, so that no commit can
change a state and forget its counters. And nothing leaves `in_doubt` towards `drafted` but `Vanished`: only proof of
absence, or an operator's word for it, makes a batch payable again.

Cancel before `running` is a wish (`Batch.cancel`), not a state: a drafted batch is withdrawn at once, the others resolve
first.
"""

from typing import Any, TypeAlias

import msgspec

from batchflow.model.blob import Blob
from batchflow.model.errors import IllegalTransition
from batchflow.model.state import Batch, BatchState
from batchflow.model.words import Word

S = BatchState


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a batch. Its fields overwrite the batch's fields of the same name.

    `wake_at` is when the batch is looked at next.
    """

    wake_at: float | None = None


class Intended(Event, frozen=True, kw_only=True):
    """We are about to POST it under this token; committed before the call."""

    token: str
    submitted_at: float


class PutOff(Event, frozen=True, kw_only=True):
    """Definitely not created, and worth trying later."""

    why: str
    token: str = ""
    remote: str = ""
    proven: bool = False
    expires_at: float | None = None


class Rejected(Event, frozen=True, kw_only=True):
    """Definitely not created, and it never will be as it is: every row gets this word."""

    blanket: Word
    why: str


class Oversized(Event, frozen=True, kw_only=True):
    """Definitely not created: the provider takes fewer requests or bytes. Smaller batches take its rows over."""

    why: str


class ReplyLost(Event, frozen=True, kw_only=True):
    """Something may have been created: a lost reply, or our own death in the middle of the call."""

    why: str


class Accepted(Event, frozen=True, kw_only=True):
    """The create was answered to us: proven ours."""

    remote: str
    expires_at: float | None
    proven: bool = True


class Adopted(Event, frozen=True, kw_only=True):
    """Found in the listing. Until its token is read it stays a claim."""

    remote: str
    expires_at: float | None
    proven: bool


class Doubted(Event, frozen=True, kw_only=True):
    """Looked for, and neither found nor ruled out."""

    why: str


class Vanished(Event, frozen=True, kw_only=True):
    """Ruled out: no batch of ours exists, so it may be sent again."""

    token: str = ""
    remote: str = ""
    proven: bool = False
    expires_at: float | None = None


class TurnedUp(Event, frozen=True, kw_only=True):
    """It exists after all, found by the token of a call that was thought to have made nothing."""

    token: str
    remote: str
    expires_at: float | None
    proven: bool = True


class Questioned(Event, frozen=True, kw_only=True):
    """It was about to be sent again, and the call of this token may have made a batch after all."""

    token: str
    why: str


class WrittenOff(Event, frozen=True, kw_only=True):
    """A person wants nobody to wait for it any longer: every row gets this word, and nothing is sent again."""

    blanket: Word
    why: str


class GivenUp(Event, frozen=True, kw_only=True):
    """A person must decide."""

    why: str


class Reopened(Event, frozen=True, kw_only=True):
    """A person asked to look again."""


class Seen(Event, frozen=True, kw_only=True):
    """Still at it. `why` is said of one that should have ended long ago."""

    expires_at: float | None
    why: str = ""


class CancelSent(Event, frozen=True, kw_only=True):
    """The provider was asked to cancel it."""


class Finished(Event, frozen=True, kw_only=True):
    """The provider is done with it: there are results."""

    ended_at: float | None


class Disowned(Event, frozen=True, kw_only=True):
    """Its results carry somebody else's token: it was never ours."""

    why: str
    remote: str = ""
    proven: bool = False
    expires_at: float | None = None


class Deferred(Event, frozen=True, kw_only=True):
    """The step in hand failed in a way that may pass."""

    why: str


class Collected(Event, frozen=True, kw_only=True):
    """Results are stored and every row is accounted for."""

    results: tuple[Blob, ...]
    sequence: int
    good: int
    dead: int
    again: int
    canceled: int
    proven: bool = True


class Refetched(Event, frozen=True, kw_only=True):
    """The stored results were damaged, and were fetched again: the same answers, in other objects."""

    results: tuple[Blob, ...]


class Delivered(Event, frozen=True, kw_only=True):
    """Every sink has confirmed."""


class Declined(Event, frozen=True, kw_only=True):
    """A sink's target refused some good rows: they are dead letters, and so many are left that are good."""

    good: int


class Recalled(Event, frozen=True, kw_only=True):
    """Rows that a sink refused are brought to it again: so many are good now."""

    good: int


class Withdrawn(Event, frozen=True, kw_only=True):
    """Canceled before it was sent."""

    blanket: Word = Word.CANCELED


AnyEvent: TypeAlias = (
    Intended
    | PutOff
    | Rejected
    | Oversized
    | ReplyLost
    | Accepted
    | Adopted
    | Doubted
    | Vanished
    | TurnedUp
    | Questioned
    | WrittenOff
    | GivenUp
    | Reopened
    | Seen
    | CancelSent
    | Finished
    | Disowned
    | Deferred
    | Collected
    | Refetched
    | Delivered
    | Declined
    | Recalled
    | Withdrawn
)

TABLE: dict[BatchState, dict[type[Event], BatchState]] = {
    S.DRAFTED: {
        Intended: S.SUBMITTING,
        Deferred: S.DRAFTED,
        Withdrawn: S.CANCELED,
        TurnedUp: S.RUNNING,
        Questioned: S.IN_DOUBT,
    },
    S.SUBMITTING: {
        Accepted: S.RUNNING,
        PutOff: S.DRAFTED,
        Rejected: S.FAILED,
        Oversized: S.SPLIT,
        ReplyLost: S.IN_DOUBT,
    },
    S.IN_DOUBT: {
        Accepted: S.RUNNING,
        Adopted: S.RUNNING,
        TurnedUp: S.RUNNING,
        Doubted: S.IN_DOUBT,
        Vanished: S.DRAFTED,
        GivenUp: S.HELD,
        WrittenOff: S.FAILED,
    },
    S.HELD: {
        Accepted: S.RUNNING,
        Adopted: S.RUNNING,
        TurnedUp: S.RUNNING,
        Vanished: S.DRAFTED,
        Reopened: S.IN_DOUBT,
        WrittenOff: S.FAILED,
    },
    S.RUNNING: {
        Seen: S.RUNNING,
        Deferred: S.RUNNING,
        CancelSent: S.CANCELING,
        Finished: S.ENDED,
        Disowned: S.IN_DOUBT,
        GivenUp: S.HELD,
    },
    S.CANCELING: {
        Seen: S.CANCELING,
        Deferred: S.CANCELING,
        Finished: S.ENDED,
        Disowned: S.IN_DOUBT,
        GivenUp: S.HELD,
    },
    S.ENDED: {Collected: S.COLLECTED, Deferred: S.ENDED, Disowned: S.IN_DOUBT, GivenUp: S.HELD},
    S.COLLECTED: {Delivered: S.DELIVERED, Declined: S.COLLECTED, Refetched: S.COLLECTED},
    S.DELIVERED: {Recalled: S.COLLECTED, Refetched: S.DELIVERED},
    S.FAILED: {},
    S.CANCELED: {},
    S.SPLIT: {},
}

TERMINAL = frozenset({S.DELIVERED, S.FAILED, S.CANCELED, S.SPLIT})
UNCERTAIN = (S.SUBMITTING, S.IN_DOUBT, S.HELD)
RESERVING = frozenset({S.SUBMITTING, S.IN_DOUBT, S.HELD, S.RUNNING, S.CANCELING, S.ENDED})

PLACE = {S.DRAFTED: "waiting"} | dict.fromkeys(RESERVING, "in_flight")
"""Where in the books a batch's rows stand while it is in a state. After that they part ways: see `_parting`."""


class Stepped(msgspec.Struct, frozen=True):
    """The batch as it is now, and what the books must say in the same commit."""

    batch: Batch
    books: dict[str, int]


def step(batch: Batch, event: AnyEvent) -> Stepped:
    """Take a batch along one arrow, or refuse with `IllegalTransition`."""
    target = TABLE[batch.state].get(type(event))
    if target is None:
        raise IllegalTransition(f"batch {batch.id} is {batch.state}; {type(event).__name__} cannot happen to it there")
    after = msgspec.structs.replace(
        batch,
        **({"why": ""} | _told(event)),
        version=batch.version + 1,
        state=target,
        tries=_tries(batch, event),
    )
    return Stepped(after, _moves(batch, after, event))


def _tries(batch: Batch, event: AnyEvent) -> int:
    """Count failures in a row: an intent is not yet a success, and waiting for one's turn is not a failure."""
    match event:
        case PutOff() | Doubted():
            return batch.tries + 1
        case Deferred():
            return batch.tries + (batch.state is not S.DRAFTED)
        case Intended():
            return batch.tries
        case _:
            return 0


def _told(event: AnyEvent) -> dict[str, Any]:
    told = msgspec.structs.asdict(event)
    return {name: told[name] for name in Batch.__struct_fields__ if name in told}


def _moves(before: Batch, after: Batch, event: AnyEvent) -> dict[str, int]:
    """Say how rows and reservations move in the books when a batch changes state."""
    moves: dict[str, int] = {}

    def add(counter: str, n: int) -> None:
        if n:
            moves[counter] = moves.get(counter, 0) + n

    if before.state in PLACE and after.state is not before.state:
        add(PLACE[before.state], -before.count)
        for counter, n in _parting(after, event).items():
            add(counter, n)
    add("reserved", ((after.state in RESERVING) - (before.state in RESERVING)) * before.reserved)
    if isinstance(event, Intended):
        add("intents", 1)
    if isinstance(event, Delivered):
        add("collected", -before.good)
        add("delivered", before.good)
    if isinstance(event, Recalled):
        add("delivered", -before.good)
        add("collected", before.good)
    if isinstance(event, Declined | Recalled):
        add("collected", after.good - before.good)
        add("dead", before.good - after.good)
    return {counter: n for counter, n in moves.items() if n}


def _parting(after: Batch, event: AnyEvent) -> dict[str, int]:
    match event:
        case Collected():
            return {"collected": event.good, "dead": event.dead, "waiting": event.again, "canceled": event.canceled}
        case Rejected() | WrittenOff():
            return {"dead": after.count}
        case Withdrawn():
            return {"canceled": after.count}
        case Oversized():
            return {"waiting": after.count}
        case _:
            return {PLACE[after.state]: after.count}
