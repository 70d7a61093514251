"""The state store in one SQLite file: WAL, synchronous FULL, a schema with numbered forward migrations.

`state` is the async face; `schema` opens and migrates; `rows` knows how a struct becomes a row; `transaction` and
`leases` run on the connection's thread; `trouble` explains.
"""

import time
from pathlib import Path
from typing import Annotated

from batchflow.builtin.stores.sqlite.state import SqliteState
from batchflow.model.units import Doc, Given, Seconds
from batchflow.ports.clock import Clock


def sqlite_state(
    *,
    path: Annotated[Path, Doc("The database file. A missing folder is made for your eyes only, and ignored by git.")],
    patience: Annotated[Seconds, Doc("How long to wait for another process's transaction before giving up.")] = 30.0,
    looking: Annotated[
        bool,
        Doc(
            "Only to look: a file of an older schema is left as it is, and read as a copy in memory that is brought forward."
        ),
    ] = False,
    clock: Annotated[
        Clock | None, Given(), Doc("Whose time leases are judged by: the machine's, unless a test says so.")
    ] = None,
) -> SqliteState:
    """Keeps runs, batches, deliveries, events and money in a SQLite file on a local disk."""
    return SqliteState(path, patience=patience, looking=looking, now=clock.now if clock else time.time)
