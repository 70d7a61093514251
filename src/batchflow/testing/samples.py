"""Entities and facts to write: only what a test is about needs saying."""

from typing import Any, TypeVar

import msgspec

from batchflow.model.blob import Blob
from batchflow.model.change import Entity, Fact
from batchflow.model.record import Position
from batchflow.model.state import (
    Batch,
    BatchState,
    Binding,
    Decision,
    Delivery,
    Entry,
    Event,
    Intent,
    Outlet,
    Remote,
    Run,
    Setback,
    Wish,
)
from batchflow.model.words import Word

E = TypeVar("E", bound=Entity)

RUN = "run-1"
TOKEN = "t0k3n"  # noqa: S105 - a batch's token is no password
BOX = Blob(name="run-1/batch-1/requests", size=1234, checksum="c0ffee")
BINDING = Binding(base_url="https://api.example", key="sha256:1f2e", workspace="wrkspc_1")


def after(entity: E, **changes: Any) -> E:
    """Gives the next version of an entity."""
    return msgspec.structs.replace(entity, version=entity.version + 1, **changes)


def a_run(id: str = RUN, **fields: Any) -> Run:
    """Gives a run."""
    return _made(Run, fields, id=id, job="triage")


def a_batch(id: str = "batch-1", **fields: Any) -> Batch:
    """Gives a batch."""
    return _made(Batch, fields, id=id, run=RUN, count=3, bytes=3_000)


def a_delivery(id: str = "delivery-1", **fields: Any) -> Delivery:
    """Gives a delivery."""
    return _made(Delivery, fields, id=id, run=RUN, batch="batch-1", sink="out")


def a_setback(id: str = "setback-1", **fields: Any) -> Setback:
    """Gives a setback whose rows are to be asked again."""
    what = {"attempt": 1, "word": Word.OVERLOADED, "decision": Decision.AGAIN, "count": 2, "rows": b"\x05"}
    return _made(Setback, fields, id=id, run=RUN, batch="batch-1", **what)


def a_wish(id: str = "wish-1", **fields: Any) -> Wish:
    """Gives a wish that nobody has seen to."""
    return _made(Wish, fields, id=id, run=RUN, verb="pause", at=14.0)


def an_intent(token: str = TOKEN, **fields: Any) -> Intent:
    """Gives an intent."""
    times = {"at": 10.0, "last_byte_at": 10.0, "watermark": 9.0}
    return _made(Intent, fields, token=token, run=RUN, batch="batch-1", count=3, binding=BINDING, **times)


def a_remote(id: str = "msgbatch_1", **fields: Any) -> Remote:
    """Gives the fact that a remote batch exists."""
    return _made(Remote, fields, id=id, run=RUN, batch="batch-1", token=TOKEN, at=11.5)


def an_event(id: str = "event-1", **fields: Any) -> Event:
    """Gives an event."""
    return _made(Event, fields, id=id, run=RUN, at=12.0, kind="batch.ended")


def an_entry(id: str = "entry-1", **fields: Any) -> Entry:
    """Gives a line of the ledger."""
    sums = {"paid": 1_000, "listed": 2_000, "rows": 3, "input_tokens": 40, "output_tokens": 50, "at": 13.0}
    return _made(Entry, fields, id=id, run=RUN, batch="batch-1", kind="settle", **sums)


def _made(kind: type[Any], fields: dict[str, Any], /, **otherwise: Any) -> Any:
    return kind(**{**otherwise, **fields})


def sparse() -> list[Entity | Fact]:
    """Gives one of each kind with nothing in it that could be left out."""
    return [
        a_run(),
        a_batch(),
        an_intent(),
        a_delivery(),
        Outlet(id="outlet-1", run=RUN, sink="out"),
        a_setback(),
        Wish(id="wish-1", run=RUN, verb="cancel", at=14.0),
        a_remote(),
        an_entry(),
        an_event(),
    ]


def full() -> list[Entity | Fact]:
    """Gives one of each kind with something in every field."""
    receipt = {"offset": 2**53, "tail": "\x00ü€😀", "parts": [{"n": None}, [True, 1.5]]}
    return [
        a_run(
            word=Word.NO_CREDIT,
            why="no credit",
            summary={"sinks": [{"type": "jsonl"}]},
            fingerprint="f",
            position=Position({"file": "a.csv", "offset": 17}, 3),
            read_all=True,
            created_at=1_800_000_000.125,
            ended_at=1_800_000_001.5,
            cancel=True,
        ),
        a_batch(
            state=BatchState.IN_DOUBT,
            wake_at=1_800_000_000.25,
            retry=True,
            reserved=9_000_000_000_000_000_000,
            requests=BOX,
            context=BOX,
            results=(BOX, BOX),
            token=TOKEN,
            remote="msgbatch_1",
            proven=True,
            submitted_at=1.0,
            expires_at=2.0,
            ended_at=3.0,
            blanket=Word.EXPIRED,
            sequence=0,
        ),
        an_intent(healthy=2, watch_until=99.5),
        a_delivery(wake_at=None, receipt=receipt, why="the disk is full"),
        Outlet(id="outlet-1", run=RUN, sink="out", receipt=receipt),
        a_setback(rows=bytes(range(256)), change={"max_tokens": 2_000}, packed_in="batch-2", wake_at=5.0, sample="?"),
        Wish(id="wish-1", run=RUN, verb="retry", data={"only": ["expired"]}, at=14.0, done_at=15.0),
        a_remote(how="adopted"),
        an_entry(paid=-1),
        an_event(subject="batch-1", text="ended; 3 rows", data={"rows": 3}),
    ]
