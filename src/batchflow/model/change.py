"""One transaction, as a value: everything in it happens, or nothing does."""

from typing import TypeAlias

import msgspec

from batchflow.model.state import Batch, Delivery, Entry, Event, Intent, Outlet, Remote, Run, Setback, Wish

Entity: TypeAlias = Run | Batch | Intent | Delivery | Outlet | Setback | Wish
Fact: TypeAlias = Remote | Entry | Event


class Put(msgspec.Struct, frozen=True):
    """Write an entity whose version is one above the stored one; version 1 means it must not exist yet."""

    entity: Entity


class Note(msgspec.Struct, frozen=True):
    """Write a fact. One that is already there stays as it is: facts are told again after crashes."""

    fact: Fact


class Count(msgspec.Struct, frozen=True):
    """Add to counters of a run's books."""

    run: str
    add: dict[str, int]


class Cap(msgspec.Struct, frozen=True):
    """Guard: after this change the named counters of the run must add up to at most `limit`."""

    run: str
    counters: tuple[str, ...]
    limit: int


class Holding(msgspec.Struct, frozen=True):
    """Guard: this owner holds the named lease, by the store's clock."""

    lease: str
    owner: str


Step: TypeAlias = Put | Note | Count | Cap | Holding
Change: TypeAlias = tuple[Step, ...]
