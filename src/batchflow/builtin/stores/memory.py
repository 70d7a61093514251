"""The stores in memory: the same promises for tests and throw-away runs, as long as the process lives.

The state store is also the plain model that every other one is compared with, so it must be obvious, not quick.
"""

import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Annotated, Any, TypeVar, assert_never, cast

import xxhash

from batchflow.builtin.stores.objects import PIECE, missing, wrong_bytes, wrong_size
from batchflow.builtin.stores.words import had_by_another, lease_not_held, locked, over_cap, stale
from batchflow.model.blob import Blob, checked_name
from batchflow.model.change import Cap, Change, Count, Entity, Fact, Holding, Note, Put
from batchflow.model.state import (
    COUNTERS,
    SEEN_AT_ONCE,
    Batch,
    BatchState,
    Decision,
    Delivery,
    DeliveryState,
    Due,
    Intent,
    Lease,
    Outlook,
    Run,
    Setback,
    Wish,
)
from batchflow.model.units import Doc, Given
from batchflow.ports.clock import Clock

T = TypeVar("T", bound=Entity | Fact)

_Tables = dict[type[Entity | Fact], dict[str, Entity | Fact]]
_Counter = tuple[str, str]


def memory_state(
    *,
    clock: Annotated[
        Clock | None, Given(), Doc("Whose time leases are judged by: the machine's, unless a test says so.")
    ] = None,
) -> "MemoryState":
    """Keeps the state of runs in memory: it is gone when the process ends."""
    return MemoryState(now=clock.now if clock else time.time)


def memory_blobs() -> "MemoryBlobs":
    """Keeps objects in memory: they are gone when the process ends."""
    return MemoryBlobs()


class MemoryState:
    """Keeps `ports.state.StateStore` in dictionaries. Closing it forgets nothing: opened again, it is as it was."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._rows: _Tables = defaultdict(dict)
        self._counters: dict[_Counter, int] = {}
        self._leases: dict[str, Lease] = {}

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def commit(self, change: Change) -> None:
        # Copies are what makes this all or nothing: they replace the originals when every guard has passed.
        rows = defaultdict(dict, {kind: dict(table) for kind, table in self._rows.items()})
        counters = dict(self._counters)
        for step in change:
            match step:
                case Put():
                    _put(rows, step.entity)
                case Note():
                    rows[type(step.fact)].setdefault(step.fact.id, step.fact)
                case Count():
                    _add(counters, step)
                case Holding():
                    await self._check_lease(step)
                case Cap():
                    pass
                case _:
                    assert_never(step)
        for cap in (step for step in change if isinstance(step, Cap)):
            _check_cap(counters, cap)
        self._rows, self._counters = rows, counters

    async def get(self, kind: type[T], id: str) -> T | None:
        return cast("T | None", self._rows[kind].get(id))

    async def find(
        self, kind: type[T], where: Mapping[str, Any], *, after: str = "", limit: int = 1000, newest: bool = False
    ) -> Sequence[T]:
        _check_fields(kind, where)
        found = self._all(kind, where)
        if newest:
            found.reverse()
        key = attrgetter("token" if kind is Intent else "id")
        return [row for row in found if not after or (key(row) < after if newest else key(row) > after)][:limit]

    async def outlook(self, run: str, now: float, *, moving: Sequence[BatchState], limit: int) -> Outlook:
        come = [due for due in self._scheduled(run) if due.wake_at <= now]
        return Outlook(
            run=await self.get(Run, run),
            wishes=self._all(Wish, {"run": run, "done_at": None})[:SEEN_AT_ONCE],
            moving=self._all(Batch, {"run": run, "state": moving}),
            waiting=self._all(Setback, {"run": run, "decision": Decision.AGAIN, "packed_in": ""})[:SEEN_AT_ONCE],
            due=sorted(come, key=lambda due: (due.wake_at, due.kind, due.id))[:limit],
            next_wake=min((due.wake_at for due in self._scheduled(run)), default=None),
        )

    async def books(self, run: str) -> Mapping[str, int]:
        return dict.fromkeys(COUNTERS, 0) | {name: n for (its_run, name), n in self._counters.items() if its_run == run}

    async def lease(
        self, name: str, *, owner: str, host: str, pid: int, ttl: float, since: float | None = None
    ) -> Lease:
        now = self._now()
        held = self._leases.get(name)
        if held and held.owner != owner and held.until > now:
            raise locked(held, now)
        begun = held.since if held and held.owner == owner else now
        if since not in {None, begun}:
            raise had_by_another(name)
        lease = Lease(name=name, owner=owner, host=host, pid=pid, until=now + ttl, since=begun)
        self._leases[name] = lease
        return lease

    async def release(self, name: str, *, owner: str) -> None:
        held = self._leases.get(name)
        if held and held.owner == owner:
            del self._leases[name]

    async def holder(self, name: str) -> Lease | None:
        held = self._leases.get(name)
        return held if held and held.until > self._now() else None

    async def _check_lease(self, holding: Holding) -> None:
        held = await self.holder(holding.lease)
        if not held or held.owner != holding.owner:
            raise lease_not_held(holding)

    def _all(self, kind: type[T], where: Mapping[str, Any]) -> list[T]:
        table = self._rows[kind]
        found = [key for key, row in table.items() if _matches(row, where)]
        found.sort()
        return [cast("T", table[key]) for key in found]

    def _scheduled(self, run: str) -> Iterator[Due]:
        for kind in (Batch, Delivery, Setback):
            for row in cast("Mapping[str, Batch | Delivery | Setback]", self._rows[kind]).values():
                if row.run == run and row.wake_at is not None and _waits(row):
                    yield Due(kind.__name__.lower(), row.id, row.wake_at)


def _waits(row: Batch | Delivery | Setback) -> bool:
    match row:
        case Batch():
            return True
        case Delivery():
            return row.state == DeliveryState.DUE
        case Setback():
            return row.decision == Decision.AGAIN and not row.packed_in


def _put(rows: _Tables, entity: Entity) -> None:
    table, key = rows[type(entity)], entity.token if isinstance(entity, Intent) else entity.id
    stored = cast("Entity | None", table.get(key))
    if (stored.version if stored else 0) != entity.version - 1:
        raise stale(entity)
    table[key] = entity


def _add(counters: dict[_Counter, int], count: Count) -> None:
    for name, n in count.add.items():
        counters[count.run, name] = counters.get((count.run, name), 0) + n


def _check_cap(counters: Mapping[_Counter, int], cap: Cap) -> None:
    total = sum(counters.get((cap.run, name), 0) for name in cap.counters)
    if total > cap.limit:
        raise over_cap(cap, total)


def _matches(row: Entity | Fact, where: Mapping[str, Any]) -> bool:
    for field, wanted in where.items():
        has = getattr(row, field)
        if has not in wanted if isinstance(wanted, list | tuple) else has != wanted:
            return False
    return True


def _check_fields(kind: type[Entity | Fact], where: Mapping[str, Any]) -> None:
    for field in where:
        if field not in kind.__struct_fields__:
            raise ValueError(f"{kind.__name__} has no scalar field {field!r} to look rows up by")


class MemoryBlobs:
    """Keeps `ports.blobs.BlobStore` in a dictionary."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    @asynccontextmanager
    async def create(self, name: str) -> AsyncGenerator["MemoryWriter"]:
        yield MemoryWriter(checked_name(name), self._objects)

    async def read(self, blob: Blob, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        data = self._objects.get(blob.name)
        if data is None:
            raise missing(blob, "this name in memory")
        if len(data) != blob.size:
            raise wrong_size(blob, "memory", len(data))
        end = blob.size if length is None else min(start + length, blob.size)
        if start == 0 and end == blob.size and xxhash.xxh3_128_hexdigest(data) != blob.checksum:
            raise wrong_bytes(blob, "this name in memory")
        for at in range(start, end, PIECE):
            yield data[at : min(at + PIECE, end)]

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        for name in sorted(self._objects):
            if name.startswith(prefix):
                yield name

    async def delete(self, name: str) -> None:
        self._objects.pop(checked_name(name), None)

    async def close(self) -> None: ...


class MemoryWriter:
    """An object in the making: nobody sees it before `finish`."""

    def __init__(self, name: str, objects: dict[str, bytes]) -> None:
        self._name = name
        self._objects = objects
        self._data = bytearray()

    async def write(self, data: bytes) -> None:
        self._data += data

    async def finish(self) -> Blob:
        data = bytes(self._data)
        self._objects[self._name] = data
        return Blob(name=self._name, size=len(data), checksum=xxhash.xxh3_128_hexdigest(data))
