"""The sink that writes to a table of the user's own SQLite database: exactly once, because the receipt is written with the rows.

Each part is one transaction that also puts the part's name into a small table of receipts. A part whose name is there
already is not written again; its receipt is. The names carry the run's id, so a new run skips nothing.

A row that breaks a rule of the table does not hold back the others: they are committed, with a receipt that names it.
So is a row that the table leaves out without an error, which shows only in the count of rows that were changed.

All receipts are kept: ten million results in parts of ten thousand are a thousand rows, they make the sink right
even when batchflow's own state is restored from an older copy, and they say where a table's rows came from.

The database is the user's: its journal mode is left as it is, and between parts nothing is locked. It may be the
source's database too.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from anyio.to_thread import run_sync

from batchflow.builtin.sinks import statements
from batchflow.builtin.sinks.diagnosis import SAFE
from batchflow.builtin.sinks.fields import Fields
from batchflow.builtin.sinks.lines import as_text, unwritable
from batchflow.builtin.sinks.receipt import known
from batchflow.builtin.sinks.statements import Mode
from batchflow.model.errors import SinkError, SinkRefused
from batchflow.model.result import Result
from batchflow.model.target import Target
from batchflow.ports.sink import Part, Promise, Receipt, Refusal, SinkContext, Written

T = TypeVar("T")

_LARGEST = 2**63
_REFUSED = (sqlite3.IntegrityError, sqlite3.DataError)
"""What a table's own rules raise: CHECK, NOT NULL, UNIQUE, foreign keys, types, triggers, a value that is too big."""


class TableReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The last part that is in the table. `missing` results had no row to update, and were to be passed over."""

    part: str
    rows: int = 0
    missing: int = 0
    refused: int = 0


class _Kept(TableReceipt, frozen=True, kw_only=True):
    """A receipt as it stands in the table: with the rows that the table refused, to be told again if the part comes again."""

    rejects: tuple[Refusal, ...] = ()


class TableSink:
    """Writes results to one table, exactly once."""

    promise: Promise = "receipt"

    def __init__(
        self,
        *,
        path: Path,
        table: str,
        mode: Mode,
        key: str,
        fields: Fields,
        receipts: str,
        wait: float,
        skip_missing: bool,
    ) -> None:
        self._path = path
        self._table = table
        self._mode: Mode = mode
        self._key = key
        self._fields = fields
        self._receipts = receipts
        self._wait = wait
        self._put = statements.put(table, fields.names, mode, key)
        self._database: sqlite3.Connection | None = None
        self._view = False
        self._skip_missing = skip_missing
        self._written = 0
        self._missing = 0
        self._refused: list[Refusal] = []

    def targets(self) -> Sequence[Target]:
        """The database, which is others' too."""
        return (Target(str(self._path), shared=True),)

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        confirmed = known(last, TableReceipt)
        try:
            await self._blocking(lambda: self._open(context, confirmed))
        except BaseException:
            self._close()
            raise

    async def write(self, part: Part) -> Receipt | Written:
        if told := await self._blocking(lambda: self._begin(part.name)):
            return told
        try:
            async for rows in part.rows:
                await self._blocking(lambda rows=rows: self._add(rows))
            return await self._blocking(lambda: self._commit(part.name))
        except BaseException:
            self._roll_back()
            raise

    async def close(self) -> None:
        self._close()

    def _open(self, context: SinkContext, last: TableReceipt | None) -> None:
        self._database = database = self._connect()
        database.execute("PRAGMA foreign_keys = ON")  # SQLite leaves them unchecked unless each connection asks for it
        # Compiles every statement, so that a wrong table is found before anything is paid for; takes its tables back if so.
        database.execute("BEGIN IMMEDIATE")
        database.execute(statements.receipts(self._receipts))
        if self._mode != "update":
            database.execute(statements.table(self._table, self._fields.columns, self._mode, self._key))
        self._view = database.execute(statements.VIEW, (self._table,)).fetchone() is not None
        database.execute(f"EXPLAIN {self._put}", [None] * len(self._fields.names)).close()
        database.execute(f"EXPLAIN {statements.keep_receipt(self._receipts)}", [None] * 2).close()
        if last and not self._receipt_of(last.part):
            raise self._not_the_same(context, last)
        database.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        if self._mode == "update" and not self._path.exists():
            raise SinkError(
                f"{self._path} does not exist, so there is no row to update.",
                hint="name the database that holds the rows, or use `mode: upsert`",
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(self._path, timeout=self._wait, isolation_level=None, check_same_thread=False)

    def _begin(self, part: str) -> Receipt | Written | None:
        self._written, self._missing, self._refused = 0, 0, []
        self._execute("BEGIN IMMEDIATE")
        kept = self._receipt_of(part)
        if kept is None:
            return None
        self._execute("ROLLBACK")
        return _told(kept)

    def _add(self, rows: Sequence[Result]) -> None:
        """Writes some rows at once; where the table refuses any, halves of them, until the refused rows stand alone."""
        self._execute(statements.MARK)
        try:
            unchanged = self._all(rows)
        except _REFUSED as error:
            self._take_back(error)
            if len(rows) == 1:
                self._refuse(rows[0], _said(error))
            else:
                middle = len(rows) // 2
                self._add(rows[:middle])
                self._add(rows[middle:])
        except (UnicodeError, TypeError, sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
            raise unwritable(rows, self._attempt) from error
        else:
            self._execute(statements.KEEP)
            self._count(rows, unchanged)

    def _all(self, rows: Sequence[Result]) -> Sequence[Result]:
        """Writes rows, and gives those for which nothing in the table changed."""
        assert self._database is not None
        if self._mode != "update":
            changed = self._database.executemany(self._put, self._fields.flat(rows, _cell)).rowcount
            if changed >= len(rows) or self._view:
                return ()
            self._execute(statements.TAKE_BACK)
        values = self._fields.flat(rows, _cell)  # one by one, for only so each tells whether it changed anything
        return [row for row, one in zip(rows, values, strict=True) if not self._execute(self._put, one).rowcount]

    def _count(self, rows: Sequence[Result], unchanged: Sequence[Result]) -> None:
        self._written += len(rows)
        for row in unchanged:
            self._judge(row)

    def _judge(self, row: Result) -> None:
        """Tells why nothing changed for a row: it is as it should be, there was none to update, or the table ignored it."""
        there = self._is_there(row)
        if there and (self._view or len(self._fields.names) == 1):  # not counted, or nothing but the key to write
            return
        missing = self._mode == "update" and not there
        if missing and self._skip_missing:
            self._missing += 1
            return
        self._written -= 1
        self._refuse(row, _no_row(self._table, self._key) if missing else _ignored(self._table))

    def _is_there(self, row: Result) -> bool:
        if self._mode == "insert":
            return False
        [values] = self._fields.flat([row], _cell)
        key = values[self._fields.names.index(self._key)]
        return self._execute(statements.row_of(self._table, self._key), (key,)).fetchone() is not None

    def _refuse(self, result: Result, why: str) -> None:
        self._refused.append(Refusal(row=result.row, key=result.key, why=why))

    def _take_back(self, error: sqlite3.Error) -> None:
        """Undoes what was written since the mark; a rule that undid the whole part already (ROLLBACK) refuses all of it."""
        assert self._database is not None
        if not self._database.in_transaction:
            raise error
        self._execute(statements.TAKE_BACK)
        self._execute(statements.KEEP)

    def _attempt(self, row: Result) -> None:
        """Binds one row's values without writing them."""
        try:
            self._execute(f"SELECT {', '.join('?' * len(self._fields.names))}", *self._fields.flat([row], _cell))
        except sqlite3.Error as error:
            raise ValueError(str(error)) from error

    def _commit(self, part: str) -> Receipt | Written:
        kept = _Kept(
            part=part,
            rows=self._written,
            missing=self._missing,
            refused=len(self._refused),
            rejects=tuple(self._refused),
        )
        self._execute(statements.keep_receipt(self._receipts), (part, msgspec.json.encode(kept).decode()))
        self._execute("COMMIT")
        return _told(kept)

    def _receipt_of(self, part: str) -> _Kept | None:
        found = self._execute(statements.receipt_of(self._receipts), (part,)).fetchone()
        return msgspec.json.decode(found[0], type=_Kept) if found else None

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        assert self._database is not None, "open comes first"
        return self._database.execute(sql, values)

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await run_sync(self._explained, work)

    def _explained(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            raise self._cannot(error) from error

    def _cannot(self, error: Exception) -> SinkError:
        # The same rows break the same rule the next time.
        kind = SinkRefused if isinstance(error, sqlite3.IntegrityError) else SinkError
        return kind(
            f"cannot write table {self._table!r} of {self._path}: {error}. Nothing of this part was written. {SAFE}",
            hint=_next_step(str(error), self._table, self._key),
        )

    def _not_the_same(self, context: SinkContext, last: TableReceipt) -> SinkError:
        return SinkError(
            f"{self._path} does not know part {last.part!r}, which run {context.run} has written: it is another database, or an older copy. Nothing was touched. {SAFE}",
            hint=f"put the database back and run `batchflow resume {context.run}`, or take the results from the state folder: `batchflow results {context.run}`",
        )

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._database and self._database.in_transaction:
                self._database.execute("ROLLBACK")

    def _close(self) -> None:
        self._roll_back()
        if self._database:
            self._database.close()
        self._database = None


def _told(kept: _Kept) -> Receipt | Written:
    receipt = TableReceipt(part=kept.part, rows=kept.rows, missing=kept.missing, refused=kept.refused)
    told = msgspec.to_builtins(receipt)
    return Written(receipt=told, refused=kept.rejects) if kept.rejects else told


def _no_row(table: str, key: str) -> str:
    return f"table {table!r} has no row to update, none whose {key!r} is this key"


def _ignored(table: str) -> str:
    return (
        f"table {table!r} ignored it, without an error: a trigger with RAISE(IGNORE) or a rule with ON CONFLICT IGNORE "
        "(see `.schema` of the table) leaves such rows out"
    )


def _said(error: sqlite3.Error) -> str:
    return f"{error} (`mode: upsert` would replace the row that is there)" if "UNIQUE" in str(error) else str(error)


def _cell(value: Any) -> Any:
    # SQLite's integers have 64 bits; a larger number is kept as text rather than refused.
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return str(value)
    return as_text(value)


def _next_step(said: str, table: str, key: str) -> str:
    column = statements.quoted(key)
    if "ON CONFLICT" in said:
        return f"make the key unique: CREATE UNIQUE INDEX ... ON {statements.quoted(table)} ({column}), or use `mode: update` or `mode: insert`"
    if "FOREIGN KEY" in said:
        return (
            "a deferred foreign key is checked when the part is complete, so it does not say which row it means: add the rows that "
            "are referred to, or declare it without DEFERRED, so that such a row holds back no other; then run `batchflow resume`"
        )
    if "UNIQUE" in said:
        return "`mode: upsert` replaces rows instead"
    if "no such" in said or "no column" in said:
        return "give `fields` the columns that the table has"
    if "locked" in said:
        return "end what holds the lock, then run `batchflow resume`"
    if "full" in said or "I/O" in said:
        return "free some space (or raise the file size limit), then run `batchflow resume`"
    return "mend the database or name another one, then run `batchflow resume`"
