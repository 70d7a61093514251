"""One change, one transaction. Runs on the connection's own thread, from BEGIN to COMMIT without a hop between."""

import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, assert_never

from batchflow.builtin.stores.sqlite import queries
from batchflow.builtin.stores.sqlite.rows import Table
from batchflow.builtin.stores.words import lease_not_held, over_cap, stale
from batchflow.model.change import Cap, Change, Count, Entity, Holding, Note, Put

Tables = Mapping[type[Any], Table[Any]]


@contextmanager
def transaction(database: sqlite3.Connection) -> Generator[None]:
    """Does all of the block or nothing, whatever ends it."""
    database.execute(queries.BEGIN)
    try:
        yield
        database.execute("COMMIT")
    finally:
        # Some errors have rolled back already (a full disk does), so SQLite is asked rather than assumed.
        if database.in_transaction:
            database.execute("ROLLBACK")


def commit(database: sqlite3.Connection, tables: Tables, change: Change, now: Callable[[], float]) -> None:
    """Writes a whole change; the caps are judged last, by the books as they would become."""
    with transaction(database):
        caps: list[Cap] = []
        for step in change:
            match step:
                case Put():
                    _put(database, tables[type(step.entity)], step.entity)
                case Note():
                    table = tables[type(step.fact)]
                    database.execute(table.insert_once, table.row(step.fact))
                case Count():
                    added = [(step.run, name, n) for name, n in step.add.items()]
                    database.executemany(queries.COUNT, added)
                case Holding():
                    _check_lease(database, step, now())
                case Cap():
                    caps.append(step)
                case _:
                    assert_never(step)
        for cap in caps:
            _check_cap(database, cap)


def _put(database: sqlite3.Connection, table: Table[Any], entity: Entity) -> None:
    row = table.row(entity)
    if entity.version == 1:
        written = database.execute(table.insert_once, row).rowcount
    else:
        written = database.execute(table.update, (*row, row[0], entity.version - 1)).rowcount
    if not written:
        raise stale(entity)


def _check_lease(database: sqlite3.Connection, holding: Holding, now: float) -> None:
    held = database.execute(queries.HOLDS_LEASE, (holding.lease, holding.owner, now)).fetchone()
    if not held:
        raise lease_not_held(holding)


def _check_cap(database: sqlite3.Connection, cap: Cap) -> None:
    books = dict(database.execute(queries.BOOKS, (cap.run,)).fetchall())
    total = sum(books.get(name, 0) for name in cap.counters)
    if total > cap.limit:
        raise over_cap(cap, total)
