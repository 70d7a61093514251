"""A thread of its own for code of others that may block, so that it stalls nobody: least of all the lease's renewal.

Its calls never overlap and always come from the same thread, which is what plain code expects (a connection of `sqlite3`
refuses any other). The thread is a daemon: code that never comes back keeps no process from ending.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from batchflow.stages.culprit import culprit, frames

T = TypeVar("T")
_Call: TypeAlias = "tuple[Callable[[], Any], asyncio.AbstractEventLoop, asyncio.Future[Any]]"


class Lane:
    """Runs calls one after another in one thread, which begins with the first of them and ends with the lane."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] | None = None
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Do this when the calls before it are done. Whoever is cancelled does not wait for it."""
        return await self._put(work)

    def later(self, work: Callable[[], object]) -> None:
        """Do this when the calls before it are done, and tell nobody."""
        self._put(work).cancel()

    def _put(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        if self._calls is None:
            self._calls = SimpleQueue()
            self._thread = threading.Thread(target=_work, args=(self._calls,), name="batchflow lane", daemon=True)
            self._thread.start()
            weakref.finalize(self, self._calls.put, None)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._calls.put((work, loop, future))
        return future

    def where(self) -> str:
        """Say where in code of others the thread is now; empty where it is not."""
        return culprit(frames(self._thread.ident or 0)) if self._thread is not None else ""


def _work(calls: "SimpleQueue[_Call | None]") -> None:
    while (call := calls.get()) is not None:
        work, loop, future = call
        try:
            given, error = work(), None
        except StopIteration as end:
            given, error = None, RuntimeError(f"StopIteration: {end}")  # no future can hold it
        except BaseException as raised:  # noqa: BLE001 - `sys.exit()` in a thread is told like any other failure
            given, error = None, raised if isinstance(raised, Exception) else RuntimeError(repr(raised))
        try:
            loop.call_soon_threadsafe(_tell, future, given, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more
        del call, work, loop, future, given, error


def _tell(future: "asyncio.Future[Any]", given: Any, error: Exception | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(given)
    else:
        future.set_exception(error)
