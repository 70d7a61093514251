# ruff: noqa: S608 -- names cannot be bound; each one passes `quoted`, and every value is bound
"""The SQL of a table sink. Names are quoted, values are bound; nothing is executed here."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from batchflow.builtin.sinks.fields import Column

Mode: TypeAlias = Literal["upsert", "insert", "update"]

MARK, TAKE_BACK, KEEP = "SAVEPOINT batchflow", "ROLLBACK TO batchflow", "RELEASE batchflow"
"""Around what may have to be taken back without the rest of its part."""

VIEW = "SELECT 1 FROM sqlite_master WHERE type = 'view' AND name = ? COLLATE NOCASE"
"""Asks whether a table is a view: what its triggers write is not counted."""

_TYPES = {"text": "TEXT", "integer": "INTEGER", "real": "REAL", "any": ""}


def quoted(name: str) -> str:
    """Quotes an identifier."""
    return '"' + name.replace('"', '""') + '"'


def table(name: str, columns: Sequence[Column], mode: Mode, key: str) -> str:
    """Creates the table. Rows replace each other by key when upserting; inserted rows may share one."""
    declared = (
        f"{quoted(c.name)} {_TYPES[c.kind]}{' PRIMARY KEY' if mode == 'upsert' and c.name == key else ''}".rstrip()
        for c in columns
    )
    return f"CREATE TABLE IF NOT EXISTS {quoted(name)} ({', '.join(declared)})"


def receipts(name: str) -> str:
    """Creates the table of receipts: one row per part, some 150 bytes per ten thousand results."""
    return f"CREATE TABLE IF NOT EXISTS {quoted(name)} (part TEXT PRIMARY KEY, receipt TEXT NOT NULL) WITHOUT ROWID"


def receipt_of(name: str) -> str:
    """Looks a part up."""
    return f"SELECT receipt FROM {quoted(name)} WHERE part = ?"


def keep_receipt(name: str) -> str:
    """Keeps a part's receipt."""
    return f"INSERT INTO {quoted(name)} (part, receipt) VALUES (?, ?)"


def put(name: str, columns: Sequence[str], mode: Mode, key: str) -> str:
    """Writes one row, its values numbered in the order of the columns."""
    return _update(name, columns, key) if mode == "update" else _insert(name, columns, mode, key)


def _insert(name: str, columns: Sequence[str], mode: Mode, key: str) -> str:
    places = ", ".join(f"?{n}" for n in range(1, len(columns) + 1))
    insert = f"INSERT INTO {quoted(name)} ({', '.join(map(quoted, columns))}) VALUES ({places})"
    if mode == "insert":
        return insert
    changes = ", ".join(f"{quoted(c)} = excluded.{quoted(c)}" for c in columns if c != key)
    return f"{insert} ON CONFLICT ({quoted(key)}) DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"


def _update(name: str, columns: Sequence[str], key: str) -> str:
    changes = ", ".join(f"{quoted(c)} = ?{n}" for n, c in enumerate(columns, 1) if c != key)
    return f"UPDATE {quoted(name)} SET {changes} WHERE {_has_key(name, key, columns.index(key) + 1)}"


def row_of(name: str, key: str) -> str:
    """Looks for a row as an update does."""
    return f"SELECT 1 FROM {quoted(name)} WHERE {_has_key(name, key, 1)} LIMIT 1"


def _has_key(name: str, key: str, place: int) -> str:
    # Keys are texts. In a column without a type (that of `CREATE TABLE ... AS SELECT`) SQLite compares them with numbers as
    # what they are, never equal; so a key that is written like an integer is looked for as one, too.
    value = f"?{place}"
    number = f"CASE WHEN CAST(CAST({value} AS INTEGER) AS TEXT) = {value} THEN CAST({value} AS INTEGER) END"
    # With its table's name before it: alone, SQLite takes a quoted name that is no column for a text.
    return f"{quoted(name)}.{quoted(key)} IN ({value}, {number})"
