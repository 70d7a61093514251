"""What one round of a driver asks of the database, in one hop and as of one moment."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from batchflow.builtin.stores.sqlite import queries
from batchflow.builtin.stores.sqlite.rows import Table
from batchflow.builtin.stores.sqlite.transaction import Tables
from batchflow.model.change import Entity, Fact
from batchflow.model.state import SEEN_AT_ONCE, Batch, BatchState, Decision, Due, Outlook, Run, Setback, Wish

T = TypeVar("T", bound=Entity | Fact)


def outlook(
    database: sqlite3.Connection, tables: Tables, run: str, now: float, moving: Sequence[BatchState], limit: int
) -> Outlook:
    """Asks everything inside one transaction, so that no commit comes between two answers."""
    database.execute(queries.LOOK)
    try:
        runs = _all(database, tables[Run], {"id": run})
        return Outlook(
            run=runs[0] if runs else None,
            wishes=_all(database, tables[Wish], {"run": run, "done_at": None}, SEEN_AT_ONCE),
            moving=_all(database, tables[Batch], {"run": run, "state": moving}),
            waiting=_all(
                database, tables[Setback], {"run": run, "decision": Decision.AGAIN, "packed_in": ""}, SEEN_AT_ONCE
            ),
            due=[Due(*row) for row in database.execute(queries.DUE, {"run": run, "now": now, "limit": limit})],
            next_wake=database.execute(queries.NEXT_WAKE, {"run": run}).fetchone()[0],
        )
    finally:
        database.execute("ROLLBACK")


def _all(database: sqlite3.Connection, table: Table[T], where: Mapping[str, Any], most: int = -1) -> list[T]:
    tests, values = table.condition(where)
    sql = f"{table.select} WHERE {' AND '.join(tests)} ORDER BY {table.key} LIMIT ?"
    return [table.struct(row) for row in database.execute(sql, (*values, most))]
