"""Opens the database file: looks before it touches, then brings the schema forward, one transaction a step.

`PRAGMA user_version` is the number of the last migration that was applied; `migrations/` holds them in order.
"""

import os
import sqlite3
import time
from collections.abc import Generator, Sequence
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from batchflow.builtin.stores.folders import private_folder
from batchflow.builtin.stores.sqlite.transaction import transaction
from batchflow.model.errors import SchemaTooNew, StoreUnavailable

APPLICATION_ID = 1650879607
"""The bytes `bflw`, which the first migration writes into the file's header."""


def open_database(path: Path, patience: float) -> sqlite3.Connection:
    """Gives a connection to a file of the present schema; whatever is not ours to touch is left as it was."""
    migrations = _migrations()
    if _is_there(path):
        _look(path, patience, newest=len(migrations))
    else:
        private_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        _make_durable(database, patience)
        _bring_forward(database, path, migrations)
    except BaseException:
        database.close()
        raise
    return database


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _look(path: Path, patience: float, *, newest: int) -> None:
    """Judges a file through a connection that cannot write: even closing a writable one may fold the log into it."""
    log = path.with_name(f"{path.name}-wal")
    # Without a log, a read-only connection would make an empty one and leave it; an `immutable` one makes nothing.
    how = "mode=ro" if _is_there(log) else "immutable=1"
    address = f"file:{quote(str(path.absolute()))}?{how}"
    database = sqlite3.connect(address, uri=True, timeout=patience, isolation_level=None)
    try:
        _refuse_what_is_not_ours(database, path)
        _refuse_newer(database, path, newest=newest)
    finally:
        database.close()


def _refuse_what_is_not_ours(database: sqlite3.Connection, path: Path) -> None:
    ours = _pragma(database, "application_id") == APPLICATION_ID
    if ours or not _pragma(database, "schema_version"):
        return
    raise StoreUnavailable(
        f"{path} is a SQLite database of another program, not batchflow's. Nothing in it was touched.",
        hint="Give another path for the state.",
    )


def _refuse_newer(database: sqlite3.Connection, path: Path, *, newest: int) -> None:
    found = _pragma(database, "user_version")
    if found > newest:
        raise SchemaTooNew(
            f"{path} has schema version {found}, and this batchflow knows versions up to {newest}: "
            "a newer batchflow wrote it. Nothing in it was touched.",
            hint="Upgrade batchflow, or give another path for the state.",
        )


def _make_durable(database: sqlite3.Connection, patience: float) -> None:
    _switch_to_wal(database, patience)
    # FULL: a commit that was answered survives a power cut. An intent must, or a batch could be paid for twice.
    database.execute("PRAGMA synchronous = FULL")


def _switch_to_wal(database: sqlite3.Connection, patience: float) -> None:
    """Turns on the write-ahead log. Two processes that do this at once are not queued by SQLite but told "locked"."""
    deadline = time.monotonic() + patience
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _bring_forward(database: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    """Applies what is missing. Whoever waited for another's migration finds it done when the lock is theirs."""
    while _pragma(database, "user_version") != len(migrations):
        with transaction(database):
            _refuse_newer(database, path, newest=len(migrations))
            done = _pragma(database, "user_version")
            for script in migrations[done : done + 1]:
                for statement in _statements(script):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {done + 1}")


def _migrations() -> list[str]:
    """Reads the scripts in the order of their numbers."""
    folder = files("batchflow.builtin.stores.sqlite") / "migrations"
    scripts = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [script.read_text(encoding="utf-8") for script in scripts]


def _statements(script: str) -> Generator[str]:
    """Splits a script, because `executescript` would commit in the middle of it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])
