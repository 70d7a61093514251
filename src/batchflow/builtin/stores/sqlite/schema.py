"""Opens the database file: looks before it touches, then brings the schema forward, one transaction a step.

`PRAGMA user_version` is the number of the last migration that was applied; `migrations/` holds them in order.
"""

import os
import sqlite3
import time
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from batchflow.builtin.stores.folders import private_folder
from batchflow.builtin.stores.sqlite.transaction import transaction
from batchflow.model.errors import SchemaTooNew, StoreUnavailable

APPLICATION_ID = 1650879607
"""The bytes `bflw`, which the first migration writes into the file's header."""


class Header(NamedTuple):
    """What the first bytes of a database file tell about whose it is."""

    application_id: int
    user_version: int
    schema_version: int
    """How often the schema was changed: zero means that there is nothing in the file yet."""


def open_database(path: Path, patience: float, *, looking: bool = False) -> sqlite3.Connection:
    """Gives a connection to a file of the present schema; whatever is not ours to touch is left as it was.

    Who is only `looking` at a file of an older schema is given a copy of it.
    """
    migrations = _migrations()
    if _holds_something(path):
        header = _header(path, patience)
        _refuse_what_is_not_ours(path, header, newest=len(migrations))
        if looking and 0 < header.user_version < len(migrations):
            return _brought_forward_copy(path, patience, migrations)
    else:
        private_folder(path.parent)
        _make_private_file(path)
    database = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        _make_durable(database, patience)
        _bring_forward(database, path, migrations)
    except BaseException:
        database.close()
        raise
    return database


def _brought_forward_copy(path: Path, patience: float, migrations: Sequence[str]) -> sqlite3.Connection:
    """Copies a file into memory and migrates the copy: a driver of the older version may still be at work on the file."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        with closing(_only_to_read(path, patience)) as database:
            database.backup(copy)
        _bring_forward(copy, path, migrations)
        copy.execute("PRAGMA query_only = ON")  # what was written here would be lost without a word
    except BaseException:
        copy.close()
        raise
    return copy


def _only_to_read(path: Path, patience: float) -> sqlite3.Connection:
    """Opens a file for reading. Where there is no log nobody writes, and SQLite is told so, for else it makes an empty one."""
    how = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    address = f"file:{quote(str(path.absolute()))}?{how}"
    return sqlite3.connect(address, uri=True, timeout=patience, isolation_level=None)


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _make_private_file(path: Path) -> None:
    """Makes the empty file that SQLite then fills, for its owner only; SQLite gives the log the same permissions."""
    with suppress(FileExistsError):  # another process was quicker
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _header(path: Path, patience: float) -> Header:
    """Looks without touching.

    Closing a writable connection may fold the log into the file, and even a read-only one makes an empty log where
    there is none. So without a log the file's own bytes are read, and SQLite is not asked. With one, it must be: closing
    a file of our own would drop the POSIX locks of whatever connection this process has to it already.
    """
    if not path.with_name(f"{path.name}-wal").exists():
        return _header_of_bytes(path)
    with closing(_only_to_read(path, patience)) as database:
        return Header(*(_pragma(database, name) for name in Header._fields))


def _header_of_bytes(path: Path) -> Header:
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return Header(0, 0, 0)  # no database: SQLite will say so, in its own words, and leave it alone
    application_id, user_version, schema_version = (int.from_bytes(header[at : at + 4]) for at in (68, 60, 40))
    return Header(application_id, user_version, schema_version)


def _refuse_what_is_not_ours(path: Path, header: Header, *, newest: int) -> None:
    if header.schema_version and header.application_id != APPLICATION_ID:
        raise StoreUnavailable(
            f"{path} is a SQLite database of another program, not batchflow's. Nothing in it was touched.",
            hint="Give another path for the state.",
        )
    _refuse_newer(path, header.user_version, newest=newest)


def _refuse_newer(path: Path, found: int, *, newest: int) -> None:
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
            done = _pragma(database, "user_version")
            _refuse_newer(path, done, newest=len(migrations))
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
