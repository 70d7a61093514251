"""The state store on SQLite: every method is one hop to the connection's thread and back."""

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite
import anyio
from anyio.to_thread import run_sync

from batchflow.builtin.stores.sqlite import leases, queries, transaction
from batchflow.builtin.stores.sqlite.look import outlook
from batchflow.builtin.stores.sqlite.rows import tables
from batchflow.builtin.stores.sqlite.schema import open_database
from batchflow.builtin.stores.sqlite.trouble import explain
from batchflow.model.change import Change, Entity, Fact
from batchflow.model.errors import Bug
from batchflow.model.state import COUNTERS, BatchState, Lease, Outlook

T = TypeVar("T", bound=Entity | Fact)
R = TypeVar("R")


class OneThread(aiosqlite.Connection):
    """A connection that does a whole piece of work in one hop.

    aiosqlite hops once a statement, and a transaction of six would cost eight hops with the lock held between them.
    `_execute` is what all its own methods are made of; a subclass is how we may use it.
    """

    async def inside(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Runs a function with the bare connection, on the thread that owns it."""
        return cast("R", await self._execute(work, self._conn))  # pyright: ignore[reportUnknownMemberType] - untyped there


class SqliteState:
    """Keeps `ports.state.StateStore` in one file. Any number of processes may have it open; SQLite lets one write."""

    def __init__(self, path: Path, *, patience: float, looking: bool, now: Callable[[], float]) -> None:
        self._path = path
        self._patience = patience
        self._looking = looking
        self._now = now
        self._tables = tables()
        self._connection: OneThread | None = None

    async def open(self) -> None:
        if self._connection:
            return
        with self._heard_out():
            database = await run_sync(partial(open_database, self._path, self._patience, looking=self._looking))
            # Opened before it is handed over: a thread of aiosqlite's that fails to connect ends unattended.
            self._connection = OneThread(lambda: database, iter_chunk_size=64)
            await self._connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with self._heard_out():
                await connection.close()

    async def commit(self, change: Change) -> None:
        await self._inside(partial(transaction.commit, tables=self._tables, change=change, now=self._now))

    async def get(self, kind: type[T], id: str) -> T | None:
        found = await self.find(kind, {self._tables[kind].key: id}, limit=1)
        return found[0] if found else None

    async def find(
        self, kind: type[T], where: Mapping[str, Any], *, after: str = "", limit: int = 1000, newest: bool = False
    ) -> Sequence[T]:
        table = self._tables[kind]
        tests, values = table.condition(where)
        if after:
            tests.append(f"{table.key} {'<' if newest else '>'} ?")
            values.append(after)
        sql = (
            f"{table.select} WHERE {' AND '.join(tests) or 'TRUE'} "
            f"ORDER BY {table.key} {'DESC' if newest else 'ASC'} LIMIT ?"
        )
        return [table.struct(row) for row in await self._rows(sql, (*values, limit))]

    async def outlook(self, run: str, now: float, *, moving: Sequence[BatchState], limit: int) -> Outlook:
        return await self._inside(partial(outlook, tables=self._tables, run=run, now=now, moving=moving, limit=limit))

    async def books(self, run: str) -> Mapping[str, int]:
        return dict.fromkeys(COUNTERS, 0) | dict(await self._rows(queries.BOOKS, (run,)))

    async def lease(
        self, name: str, *, owner: str, host: str, pid: int, ttl: float, since: float | None = None
    ) -> Lease:
        wish = Lease(name=name, owner=owner, host=host, pid=pid, until=0.0)
        return await self._inside(partial(leases.take, wish=wish, ttl=ttl, since=since, now=self._now))

    async def release(self, name: str, *, owner: str) -> None:
        await self._rows(queries.RELEASE_LEASE, (name, owner))

    async def holder(self, name: str) -> Lease | None:
        return await self._inside(partial(leases.holder, name=name, now=self._now))

    async def _rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
        return await self._inside(lambda database: database.execute(sql, values).fetchall())

    async def _inside(self, work: Callable[[sqlite3.Connection], R]) -> R:
        if not self._connection:
            raise Bug(f"The state store {self._path} was used while it was not open.")
        with self._heard_out():
            return await self._connection.inside(work)

    @contextmanager
    def _heard_out(self) -> Generator[None]:
        """Lets the thread finish what it does, though we be cancelled: a commit must not end unheard. Explains errors."""
        try:
            with anyio.CancelScope(shield=True):
                yield
        except (sqlite3.Error, OSError) as error:
            known = explain(error, self._path)
            if not known:
                raise
            raise known from error
