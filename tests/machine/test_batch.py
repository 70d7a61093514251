"""Any sequence of events: a batch goes only where an arrow leads, and the books balance after each step."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.machine.batch import (
    PLACE,
    RESERVING,
    TABLE,
    TERMINAL,
    Accepted,
    Adopted,
    CancelSent,
    Collected,
    Declined,
    Deferred,
    Delivered,
    Disowned,
    Doubted,
    Finished,
    GivenUp,
    Intended,
    Oversized,
    PutOff,
    Questioned,
    Recalled,
    Refetched,
    Rejected,
    Reopened,
    ReplyLost,
    Seen,
    TurnedUp,
    Vanished,
    Withdrawn,
    WrittenOff,
    step,
)
from batchflow.model.errors import IllegalTransition
from batchflow.model.state import Batch, BatchState
from batchflow.model.words import Word

COUNT = 12
RESERVED = 5_000
PLACES = ("waiting", "in_flight", "collected", "delivered", "dead", "canceled")
TIMES = st.none() | st.floats(0, 1e10)


@st.composite
def collected(draw):
    cuts = sorted(draw(st.lists(st.integers(0, COUNT), min_size=3, max_size=3)))
    good, dead, again = cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1]
    return Collected(results=(), sequence=1, good=good, dead=dead, again=again, canceled=COUNT - good - dead - again)


EVENTS = st.one_of(
    st.builds(Intended, token=st.text(min_size=1, max_size=3), submitted_at=st.floats(0, 1e10), wake_at=TIMES),
    st.builds(PutOff, why=st.just("busy"), wake_at=TIMES),
    st.builds(Rejected, blanket=st.sampled_from([Word.INVALID, Word.TOO_LARGE]), why=st.just("no")),
    st.builds(Oversized, why=st.just("too many")),
    st.builds(ReplyLost, why=st.just("lost"), wake_at=TIMES),
    st.builds(Accepted, remote=st.text(min_size=1, max_size=3), expires_at=TIMES, wake_at=TIMES),
    st.builds(Adopted, remote=st.text(min_size=1, max_size=3), expires_at=TIMES, proven=st.booleans()),
    st.builds(Doubted, why=st.just("not seen"), wake_at=TIMES),
    st.builds(Vanished, wake_at=TIMES),
    st.builds(TurnedUp, token=st.just("t"), remote=st.just("m"), expires_at=TIMES, wake_at=TIMES),
    st.builds(Questioned, token=st.just("t"), why=st.just("seen"), wake_at=TIMES),
    st.builds(WrittenOff, blanket=st.sampled_from([Word.MISSING, Word.ARCHIVED]), why=st.just("enough")),
    st.builds(GivenUp, why=st.just("ask")),
    st.builds(Reopened, wake_at=TIMES),
    st.builds(Seen, expires_at=TIMES, wake_at=TIMES),
    st.builds(CancelSent, wake_at=TIMES),
    st.builds(Finished, ended_at=TIMES, wake_at=TIMES),
    st.builds(Disowned, why=st.just("theirs"), wake_at=TIMES),
    st.builds(Deferred, why=st.just("later"), wake_at=TIMES),
    collected(),
    st.builds(Refetched, results=st.just(())),
    st.builds(Delivered),
    st.builds(Withdrawn),
)


def fresh(**fields):
    return Batch(**{"id": "b", "run": "r", "count": COUNT, "bytes": 100, "reserved": RESERVED} | fields)


def apply(books, moves):
    return {name: books.get(name, 0) + moves.get(name, 0) for name in books.keys() | moves.keys()}


@given(st.lists(EVENTS, max_size=40))
def test_the_books_balance_whatever_happens_and_rest_without_reservations(events):
    batch, books = fresh(), {"rows": COUNT, "waiting": COUNT}
    for event in events:
        if type(event) not in TABLE[batch.state]:
            with pytest.raises(IllegalTransition):
                step(batch, event)
            continue
        stepped = step(batch, event)
        assert stepped.batch.state is TABLE[batch.state][type(event)]
        assert stepped.batch.version == batch.version + 1
        batch, books = stepped.batch, apply(books, stepped.books)
        assert sum(books.get(place, 0) for place in PLACES) == COUNT
        assert all(n >= 0 for n in books.values())
        assert books.get("reserved", 0) == (RESERVED if batch.state in RESERVING else 0)
        if batch.state in PLACE:
            assert books[PLACE[batch.state]] == COUNT
    assert books.get("intents", 0) == sum(isinstance(event, Intended) for event in accepted_of(events))


def accepted_of(events):
    """The events that happened, in a history in which the others could not."""
    batch = fresh()
    for event in events:
        if type(event) in TABLE[batch.state]:
            batch = step(batch, event).batch
            yield event


@given(st.lists(EVENTS, max_size=30))
def test_a_batch_is_paid_for_only_after_an_intent_and_never_twice_without_proof_of_absence(events):
    """Every way back to an intent passes a definite no, or the proof that nothing was created."""
    history = list(accepted_of(events))
    for number, event in enumerate(history):
        if isinstance(event, Intended) and any(isinstance(before, Intended) for before in history[:number]):
            last = max(n for n, before in enumerate(history[:number]) if isinstance(before, Intended))
            assert any(isinstance(between, PutOff | Vanished) for between in history[last:number])


@given(st.lists(EVENTS, max_size=30))
def test_what_is_known_of_the_remote_batch_is_forgotten_when_it_is_not_ours_any_more(events):
    batch = fresh()
    for event in accepted_of(events):
        batch = step(batch, event).batch
        if batch.state in {BatchState.DRAFTED, BatchState.SUBMITTING}:
            assert (batch.remote, batch.proven) == ("", False)
        if batch.state is BatchState.DRAFTED:
            assert batch.token == ""
        if isinstance(event, Disowned):
            assert batch.remote == ""
            assert not batch.proven
            assert batch.token


@given(collected(), st.data())
def test_rows_that_a_sink_refuses_are_dead_until_they_are_recalled(event, data):
    ended = fresh(state=BatchState.ENDED)
    batch, books = ended, {"rows": COUNT, "in_flight": COUNT, "reserved": RESERVED}
    left = data.draw(st.integers(0, event.good))
    history = [event, Declined(good=left), Delivered(), Recalled(good=event.good), Delivered()]
    standing = []
    for happened in history:
        stepped = step(batch, happened)
        batch, books = stepped.batch, apply(books, stepped.books)
        assert sum(books.get(place, 0) for place in PLACES) == COUNT
        standing.append((batch.state, batch.good, books.get("delivered", 0), books.get("dead", 0)))
    collected_, delivered = BatchState.COLLECTED, BatchState.DELIVERED
    dead = event.dead + event.good - left
    assert standing == [
        (collected_, event.good, 0, event.dead),
        (collected_, left, 0, dead),
        (delivered, left, left, dead),
        (collected_, event.good, 0, event.dead),
        (delivered, event.good, event.good, event.dead),
    ]


def test_an_ended_batch_goes_nowhere():
    for state in TERMINAL:
        for event in (Deferred(why=""), Delivered(), Reopened(), Intended(token="t", submitted_at=0.0)):
            with pytest.raises(IllegalTransition, match=str(state)):
                step(fresh(state=state), event)


def test_tries_grow_from_intent_to_intent_until_one_is_accepted():
    batch = fresh()
    for tries in range(1, 5):
        batch = step(batch, Intended(token="t", submitted_at=0.0)).batch
        batch = step(batch, PutOff(why="busy", wake_at=1.0)).batch
        assert batch.tries == tries
    batch = step(batch, Intended(token="t", submitted_at=0.0)).batch
    assert step(batch, Accepted(remote="m", expires_at=None)).batch.tries == 0


def test_waiting_for_ones_turn_is_no_failure():
    assert step(fresh(), Deferred(why="budget", wake_at=1.0)).batch.tries == 0
    assert step(fresh(state=BatchState.ENDED), Deferred(why="short", wake_at=1.0)).batch.tries == 1


def test_why_is_kept_only_as_long_as_it_is_true():
    batch = step(fresh(), Deferred(why="waits for the budget", wake_at=1.0)).batch
    assert batch.why == "waits for the budget"
    assert step(batch, Intended(token="t", submitted_at=0.0)).batch.why == ""


def test_an_event_leaves_alone_what_it_does_not_speak_of():
    batch = fresh(state=BatchState.RUNNING, remote="m", proven=True, token="t", submitted_at=3.0)
    seen = step(batch, Seen(expires_at=9.0, wake_at=4.0)).batch
    assert msgspec.structs.replace(seen, version=1, expires_at=None, wake_at=None) == batch
