"""Who drives what: leases are judged inside a transaction, by a clock that is read after the lock was got."""

import sqlite3
from collections.abc import Callable

import msgspec

from batchflow.builtin.stores.sqlite import queries
from batchflow.builtin.stores.sqlite.transaction import transaction
from batchflow.builtin.stores.words import had_by_another, locked
from batchflow.model.state import Lease


def take(database: sqlite3.Connection, wish: Lease, ttl: float, since: float | None, now: Callable[[], float]) -> Lease:
    """Takes or renews a lease, unless another's has not lapsed; with `since`, unless another had it at all."""
    with transaction(database):
        moment = now()
        held = _stored(database, wish.name)
        if held and held.owner != wish.owner and held.until > moment:
            raise locked(held, moment)
        begun = held.since if held and held.owner == wish.owner else moment
        if since not in {None, begun}:
            raise had_by_another(wish.name)
        lease = msgspec.structs.replace(wish, until=moment + ttl, since=begun)
        database.execute(queries.TAKE_LEASE, msgspec.structs.astuple(lease))
    return lease


def holder(database: sqlite3.Connection, name: str, now: Callable[[], float]) -> Lease | None:
    """Finds a lease that has not lapsed."""
    held = _stored(database, name)
    return held if held and held.until > now() else None


def _stored(database: sqlite3.Connection, name: str) -> Lease | None:
    row = database.execute(queries.LEASE, (name,)).fetchone()
    return Lease(**dict(zip(Lease.__struct_fields__, row, strict=True))) if row else None
