"""Sources and sinks written without `async`: their plain methods are called in a thread of their own, so they may block.

Each method is judged by itself: an `async def` is awaited in the loop, whatever else the object has.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from functools import partial
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction
from itertools import islice
from typing import Any, cast

from batchflow.model.record import Cursor, Idle, Page
from batchflow.model.result import Result
from batchflow.ports.sink import Part, PlainPart, Promise, Receipt, Sink, SinkContext, Written
from batchflow.ports.source import Source
from batchflow.stages.lane import Lane
from batchflow.stages.wall import is_foreign


def awaited_source(source: Any) -> Source:
    """Give a source whose methods can be awaited: itself, unless some are plain."""
    plain = is_foreign(source) and not _are_async(source, "read", "fingerprint", "committed", "columns")
    return (
        cast("Source", PlainAcknowledging(source) if hasattr(source, "committed") else PlainSource(source))
        if plain
        else source
    )


def awaited_sink(sink: Any) -> Sink:
    """Give a sink whose methods can be awaited: itself, unless some are plain."""
    plain = is_foreign(sink) and not _are_async(sink, "open", "write", "close", "committed", "complete")
    return cast("Sink", PlainSink(sink)) if plain else sink


def is_async(function: Any) -> bool:
    """Tell whether calling it does nothing yet but give something to be awaited; objects that are called are seen through."""
    inner: Any = getattr(cast("Any", type(function)), "__call__", None)  # noqa: B004 - not whether, but how it is called
    return any(iscoroutinefunction(one) or isasyncgenfunction(one) for one in (function, inner))


def _are_async(part: Any, *names: str) -> bool:
    methods = [getattr(part, name, None) for name in names]
    return all(method is None or is_async(method) for method in methods)


class _Plain:
    """Calls the methods of an object, plain ones in a thread."""

    def __init__(self, part: Any) -> None:
        self.__wrapped__ = part
        self._lane = Lane()
        self.where = self._lane.where

    async def _call(self, name: str, *given: Any) -> Any:
        method = getattr(self.__wrapped__, name)
        answer = method(*given) if iscoroutinefunction(method) else await self._lane.run(partial(method, *given))
        return await answer if isawaitable(answer) else answer

    async def _maybe(self, name: str, *given: Any) -> Any:
        return await self._call(name, *given) if hasattr(self.__wrapped__, name) else None


class PlainSource(_Plain):
    """A source from one whose `read` is a plain generator, or whose other methods are plain."""

    @property
    def one_shot(self) -> bool:
        """As the source itself says."""
        return bool(getattr(self.__wrapped__, "one_shot", False))

    async def read(self, after: Cursor | None) -> AsyncGenerator[Page | Idle]:
        """Take page after page, each from the thread."""
        read = self.__wrapped__.read
        pages: Any = read(after) if isasyncgenfunction(read) else await self._lane.run(partial(read, after))
        if isawaitable(pages):
            pages = await pages
        if isinstance(pages, AsyncIterable):
            async for page in cast("AsyncIterable[Page | Idle]", pages):
                yield page
            return
        left: Iterator[Page | Idle] = iter(pages)
        close = getattr(left, "close", _nothing)  # in its thread: what it opened there may refuse any other
        try:
            while page := await self._lane.run(partial(_some, left, 1)):
                yield page[0]
        except GeneratorExit:
            await self._lane.run(close)
            raise
        except asyncio.CancelledError:
            self._lane.later(close)  # it may be stuck, and nobody waits for it
            raise

    async def fingerprint(self) -> str | None:
        """As the source itself says."""
        return await self._call("fingerprint")

    async def columns(self) -> frozenset[str] | None:
        """As the source itself says, if it does."""
        return await self._maybe("columns")


class PlainAcknowledging(PlainSource):
    """One that wants to know what is safe."""

    async def committed(self, keys: list[str]) -> None:
        """Tell the source."""
        await self._call("committed", keys)


class PlainSink(_Plain):
    """A sink from one whose methods are plain. Its parts come with rows that a `for` can go through."""

    @property
    def promise(self) -> Promise:
        """As the sink itself says."""
        return self.__wrapped__.promise

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Open it."""
        await self._call("open", context, last)

    async def write(self, part: Part) -> Receipt | Written:
        """Let it write, while its thread asks the loop for one chunk of rows after another."""
        if iscoroutinefunction(self.__wrapped__.write):
            return await self.__wrapped__.write(part)
        rows = _Rows(part)
        try:
            return await self._call("write", PlainPart(name=part.name, rows=rows))
        finally:
            await rows.end()

    async def close(self) -> None:
        """Close it."""
        await self._call("close")

    async def committed(self, receipt: Receipt) -> None:
        """Tell the sink, if it wants to know."""
        await self._maybe("committed", receipt)

    async def complete(self) -> None:
        """Tell the sink, if it wants to know."""
        await self._maybe("complete")


class _Rows:
    """Chunks of rows for a thread, each fetched in the loop."""

    def __init__(self, part: Part) -> None:
        self._rows = part.rows
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self._fetching: asyncio.Task[Sequence[Result] | None] | None = None

    def __iter__(self) -> "Iterator[Sequence[Result]]":
        return self

    def __next__(self) -> Sequence[Result]:
        chunk = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        if chunk is None:
            raise StopIteration
        return chunk

    async def _next(self) -> Sequence[Result] | None:
        if self._ended:
            raise RuntimeError("this part is over: the sink was given up, or asks for rows after its `write`")
        self._fetching = asyncio.ensure_future(self._one())
        return await self._fetching

    async def _one(self) -> Sequence[Result] | None:
        return await anext(self._rows, None)

    async def end(self) -> None:
        """Give nothing more, and let go of the rows."""
        self._ended = True
        if self._fetching is not None and not self._fetching.done():
            self._fetching.cancel()
            await asyncio.wait({self._fetching})


def _nothing() -> None:
    """Stands for the `close` of what has none."""


def _some(left: Iterator[Any], most: int) -> list[Any]:
    return list(islice(left, most))
