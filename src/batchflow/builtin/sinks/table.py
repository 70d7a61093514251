"""The sink that writes to a table of the user's own SQLite database: exactly once, because the receipt is written with the rows.

Each part is one transaction that also puts the part's name into a small table of receipts. A part whose name is there
already is not written again; its receipt is. The names carry the run's id, so a new run skips nothing.

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
from batchflow.ports.sink import Part, Promise, Receipt, SinkContext

T = TypeVar("T")

_LARGEST = 2**63


class TableReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The last part that is in the table. `missing` results had no row to update, and were to be passed over."""

    part: str
    rows: int = 0
    missing: int = 0


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
        self._skip_missing = skip_missing
        self._written = 0
        self._missing: list[str] = []
        """Keys of results that had no row to update."""

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        confirmed = known(last, TableReceipt)
        try:
            await self._blocking(lambda: self._open(context, confirmed))
        except BaseException:
            self._close()
            raise

    async def write(self, part: Part) -> Receipt:
        if receipt := await self._blocking(lambda: self._begin(part.name)):
            return receipt
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
        # Compiles every statement, so that a wrong table is found before anything is paid for; takes its tables back if so.
        database.execute("BEGIN IMMEDIATE")
        database.execute(statements.receipts(self._receipts))
        if self._mode != "update":
            database.execute(statements.table(self._table, self._fields.columns, self._mode, self._key))
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

    def _begin(self, part: str) -> Receipt | None:
        self._written, self._missing = 0, []
        self._execute("BEGIN IMMEDIATE")
        receipt = self._receipt_of(part)
        if receipt:
            self._execute("ROLLBACK")
        return receipt

    def _add(self, rows: Sequence[Result]) -> None:
        assert self._database is not None
        try:
            if self._mode == "update":
                self._update(rows)
            else:
                self._database.executemany(self._put, self._fields.flat(rows, _cell))
        except (UnicodeError, TypeError, sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
            raise unwritable(rows, self._attempt) from error
        self._written += len(rows)

    def _update(self, rows: Sequence[Result]) -> None:
        """Changes the rows one by one, for only so each tells whether it was there."""
        for result, values in zip(rows, self._fields.flat(rows, _cell), strict=True):
            if not self._execute(self._put, values).rowcount:
                self._missing.append(result.key)

    def _attempt(self, row: Result) -> None:
        """Binds one row's values without writing them."""
        try:
            self._execute(f"SELECT {', '.join('?' * len(self._fields.names))}", *self._fields.flat([row], _cell))
        except sqlite3.Error as error:
            raise ValueError(str(error)) from error

    def _commit(self, part: str) -> Receipt:
        if self._missing and not self._skip_missing:
            raise self._nothing_to_update()
        receipt = TableReceipt(part=part, rows=self._written, missing=len(self._missing))
        self._execute(statements.keep_receipt(self._receipts), (part, msgspec.json.encode(receipt).decode()))
        self._execute("COMMIT")
        return msgspec.to_builtins(receipt)

    def _receipt_of(self, part: str) -> Receipt | None:
        found = self._execute(statements.receipt_of(self._receipts), (part,)).fetchone()
        return msgspec.json.decode(found[0]) if found else None

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

    def _nothing_to_update(self) -> SinkError:
        keys = ", ".join(map(repr, self._missing[:3])) + (", ..." if len(self._missing) > 3 else "")
        return SinkRefused(
            f"{len(self._missing):,} of {self._written:,} results have no row to update in table {self._table!r} of {self._path}: "
            f"there is none whose {self._key!r} is {keys}. Nothing of this part was written. {SAFE}",
            hint="put the rows there and run `batchflow resume`; or let `mode: upsert` add them, or `missing: skip` pass over them",
        )

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


def _cell(value: Any) -> Any:
    # SQLite's integers have 64 bits; a larger number is kept as text rather than refused.
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return str(value)
    return as_text(value)


def _next_step(said: str, table: str, key: str) -> str:
    column = statements.quoted(key)
    if "ON CONFLICT" in said:
        return f"make the key unique: CREATE UNIQUE INDEX ... ON {statements.quoted(table)} ({column}), or use `mode: update` or `mode: insert`"
    if "UNIQUE" in said:
        return "`mode: upsert` replaces rows instead"
    if "no such" in said or "no column" in said:
        return "give `fields` the columns that the table has"
    if "locked" in said:
        return "end what holds the lock, then run `batchflow resume`"
    if "full" in said or "I/O" in said:
        return "free some space (or raise the file size limit), then run `batchflow resume`"
    return "mend the database or name another one, then run `batchflow resume`"
