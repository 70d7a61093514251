"""Ports made of plain functions. Each knows the function behind it (`__wrapped__`), so that errors name that."""

import math
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack
from datetime import date
from functools import partial
from inspect import isasyncgen, isawaitable, isgenerator
from itertools import islice
from numbers import Number
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from batchflow.machine.keys import key_of, no_key
from batchflow.model.record import Cursor, Idle, Page, Record, Skip, Unreadable
from batchflow.model.result import Bad, Result
from batchflow.ports.builder import Params
from batchflow.ports.retry import Failure, Verdict
from batchflow.ports.sink import Part, Promise, Receipt, SinkContext
from batchflow.stages.lane import Lane
from batchflow.stages.plain import is_async
from batchflow.stages.wall import misgiven

Rows: TypeAlias = Iterable[Mapping[str, Any]]
Read: TypeAlias = Callable[[], Rows | AsyncIterable[Mapping[str, Any]] | Awaitable[Rows]]
Build: TypeAlias = Callable[[dict[str, Any]], Params | Sequence[Params] | Skip]
Examine: TypeAlias = Callable[[Result], Result | Bad]
Decide: TypeAlias = Callable[[Failure], Verdict]
Write: TypeAlias = Callable[[Sequence[Result]], object]

PAGE = 500
_PLAIN = frozenset({int, float, bool, type(None)})
_encode = msgspec.json.Encoder().encode


class Rereading:
    """A source from rows, or from a function that gives the same rows whenever it is called."""

    def __init__(self, rows: Rows | Read, key: str, carry: Sequence[str] = ()) -> None:
        self.__wrapped__ = rows
        self._key = key
        self._carry = carry
        self._lane = Lane()
        self.where = self._lane.where

    async def read(self, after: Cursor | None) -> AsyncGenerator[Page | Idle]:
        """Pass over what was read before, then go on in pages."""
        at = passed = int(after["at"]) if after else 0
        async with AsyncExitStack() as stack:
            pages = await self._pages(passed)
            if isasyncgen(pages):
                stack.push_async_callback(pages.aclose)
            async for rows in pages:
                items = [self._item(row, number) for number, row in enumerate(rows, at + 1)]
                at += len(rows)
                yield Page(items, {"at": at})

    async def fingerprint(self) -> str | None:
        """Nobody can tell what a function will give."""
        return None

    async def _pages(self, passed: int) -> AsyncIterator[list[Any]]:
        """Ask for the rows anew, whichever way they come."""
        rows: Any = self.__wrapped__
        if callable(rows):
            rows = rows() if is_async(rows) else await self._lane.run(rows)
        if isawaitable(rows):
            rows = await rows
        if isinstance(rows, AsyncIterable):
            return _slowly(rows, passed)  # pyright: ignore[reportUnknownArgumentType] - of whatever: `_item` looks
        if _holds_rows(rows):
            if isinstance(rows, (list, tuple)):
                return _at_once(rows, passed)  # pyright: ignore[reportUnknownArgumentType] - as above
            return _from_thread(rows, passed, self._lane)
        raise misgiven(self, "while it was read", rows, "records that can be iterated over")

    def _item(self, row: Any, number: int) -> Record | Unreadable:
        origin = f"row {number}"
        if not isinstance(row, (dict, Mapping)):
            return Unreadable(origin, f"a record is a mapping of columns, and this is of type {type(row).__qualname__}")
        data: dict[str, Any] = dict(row)  # pyright: ignore[reportUnknownArgumentType] - as it is
        value = data.get(self._key)
        key = value if type(value) is str else _key(value)
        if not key:
            return Unreadable(origin, no_key(self._key, value, data))
        flaw = self._flaw(key, data)
        return Unreadable(origin, flaw) if flaw else Record(key, data, origin)

    def _flaw(self, key: str, data: Mapping[str, Any]) -> str:
        """Say what of a record could not be kept beside its request; files and databases cannot hold such things."""
        if not key.isascii() and (why := _unkept(key)):
            return f"the key {self._key!r} is {key!a}, which {why}"
        for column in self._carry:
            value = data.get(column)
            if type(value) not in _PLAIN and (why := _unkept(value)):
                return f"the carried column {column!r} cannot be kept: it {why}"
        return ""


def _unkept(value: Any) -> str:
    """Say why a value cannot be written as JSON; empty for what can, dates, decimals and bytes among it."""
    try:
        _encode(value)
    except UnicodeEncodeError:
        return "holds half a character (a lone surrogate), which no text in a file can"
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        return f"is of type {type(value).__qualname__}, which is no JSON ({error}): carry text, numbers, dates, or lists and maps of them"
    return ""


def _holds_rows(rows: Any) -> bool:
    return isinstance(rows, Iterable) and not isinstance(rows, (str, bytes, Mapping))


async def _at_once(rows: Iterable[Any], passed: int) -> AsyncGenerator[list[Any]]:
    left = islice(iter(rows), passed, None)
    while page := list(islice(left, PAGE)):
        yield page


async def _from_thread(rows: Iterable[Any], passed: int, lane: Lane) -> AsyncGenerator[list[Any]]:
    """Take the rows in a thread, always the same: behind them may be a cursor that blocks, and knows its thread."""
    left = await lane.run(lambda: islice(iter(rows), passed, None))
    while page := await lane.run(lambda: list(islice(left, PAGE))):
        yield page


async def _slowly(rows: AsyncIterable[Any], passed: int) -> AsyncGenerator[list[Any]]:
    page: list[Any] = []
    async with AsyncExitStack() as stack:
        if isasyncgen(rows):
            stack.push_async_callback(rows.aclose)
        async for row in rows:
            if passed:
                passed -= 1
                continue
            page.append(row)
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page


def _key(value: Any) -> str:
    """Write a value that is no text as a key. Programs have more of them than files: ids, dates, numbers of libraries."""
    if isinstance(value, bool) or (isinstance(value, float) and math.isnan(value)):
        return ""
    return key_of(value) or (str(value) if isinstance(value, (UUID, date, Number)) else "")


class FunctionBuilder:
    """A builder from a function of a record's columns."""

    def __init__(self, build: Build) -> None:
        self.__wrapped__ = build

    def build(self, record: Record) -> Params | Sequence[Params] | Skip:
        """Call it."""
        return self.__wrapped__(dict(record.data))


class FunctionCheck:
    """A check from a function."""

    def __init__(self, check: Examine) -> None:
        self.__wrapped__ = check

    def check(self, result: Result) -> Result | Bad:
        """Call it."""
        return self.__wrapped__(result)


class FunctionRetry:
    """A policy from a function."""

    def __init__(self, decide: Decide) -> None:
        self.__wrapped__ = decide

    def decide(self, failure: Failure) -> Verdict:
        """Call it."""
        return self.__wrapped__(failure)


class FunctionSink:
    """A sink from a function that takes lists of results. After a crash it may be given the same results again."""

    promise: Promise = "at_least_once"

    def __init__(self, write: Write) -> None:
        self.__wrapped__ = write
        self._lane = Lane()
        self.where = self._lane.where

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Nothing to make ready."""

    async def write(self, part: Part) -> Receipt:
        """Hand the results over, a chunk at a time; a plain function gets a thread, and what comes back is of no interest."""
        rows, write = 0, self.__wrapped__
        async for results in part.rows:
            given = write(results) if is_async(write) else await self._lane.run(partial(write, results))
            if isawaitable(given):
                given = await given
            if isgenerator(given) or isasyncgen(given):
                raise misgiven(self, f"for part {part.name}", given, "nothing: what a generator would do is not done")
            rows += len(results)
        return {"part": part.name, "rows": rows}

    async def close(self) -> None:
        """Nothing to let go."""
