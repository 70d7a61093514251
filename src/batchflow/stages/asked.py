"""Asking a part: every awaited call into code of others goes through here.

Whatever it raises comes out named; who does not answer in time is given up, so that the other parts and jobs go on. Parts
from the box are asked without ceremony: they are ours to mend, and some of them may wait as long as they like (a pipe).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from batchflow.model.errors import BatchflowError, PluginHung
from batchflow.stages.wall import blame, is_foreign, named, wall

_log = logging.getLogger("batchflow")
T = TypeVar("T")
GRACE = 3.0
"""Seconds that a part which was given up has for its `finally`."""
ABANDONED = "batchflow: given up: "
"""How the name of a task begins whose part did not even end when it was cancelled: it may keep a process from ending."""


class Beat:
    """When a part last took a step: it is slow, and does not hang, as long as it takes some."""

    def __init__(self) -> None:
        self.at = asyncio.get_running_loop().time()

    def again(self) -> None:
        """Count from now on."""
        self.at = asyncio.get_running_loop().time()


async def asked(
    part: object,
    doing: str,
    work: Callable[[], Awaitable[T]],
    *,
    within: float,
    beat: Beat | None = None,
    where: Callable[[], str] = str,
) -> T:
    """Await what a part does, and name it where it fails or takes longer than `within` seconds since its last beat.

    `where` says at which line it is, where that can be seen.
    """
    if not is_foreign(part):
        with wall(part, doing):
            return await work()
    task = asyncio.ensure_future(in_part(part, doing, work))
    try:
        in_time = await _waited(task, within, beat or Beat())
    except asyncio.CancelledError:
        await _give_up(task, part)
        raise
    if not in_time:
        at = f" (it is at {line})" if (line := where()) else ""
        await _give_up(task, part)
        raise PluginHung(
            f"{named(part)} did not come back within {within:g} s {doing}, and was given up{at}",
            hint="mend it, or give it longer (`plugin_timeout`), and go on with `batchflow resume`: nothing is paid twice",
        )
    if task.cancelled():
        raise blame(part, doing, RuntimeError("it was cancelled from within"))
    try:
        return task.result()
    except GeneratorExit as error:  # not ours: it came out of the part
        raise blame(part, doing, RuntimeError(repr(error))) from error


def where_of(part: object) -> Callable[[], str]:
    """Find what says at which line a part is: one with a thread of its own can be looked at."""
    return getattr(part, "where", str) if hasattr(part, "__wrapped__") else str


async def let_go(part: object, doing: str, work: Callable[[], Awaitable[object]], *, within: float) -> None:
    """Ask a part to let go of what it holds. It is the last thing asked of it: a failure is logged, and undoes nothing."""
    try:
        await asked(part, doing, work, within=within, where=where_of(part))
    except BatchflowError as error:
        _log.error("%s", error.message)


async def in_part(part: object, doing: str, work: Callable[[], Awaitable[T]]) -> T:
    """Stand between the loop and a part: the watchdog looks for this frame to see whose turn it is."""
    with wall(part, doing):
        try:
            return await work()
        except (Exception, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            raise blame(part, doing, RuntimeError(repr(error))) from error


async def _waited(task: "asyncio.Task[T]", within: float, beat: Beat) -> bool:
    """Wait for it; False when it has not taken a step for too long."""
    loop = asyncio.get_running_loop()
    while not task.done():
        left = beat.at + within - loop.time()
        if left <= 0:
            return False
        await asyncio.wait({task}, timeout=left)
    return True


async def _give_up(task: "asyncio.Task[T]", part: object) -> None:
    """Cancel it, and wait no longer for it than is decent."""
    task.set_name(f"{ABANDONED}{named(part)}")
    with anyio.CancelScope(shield=True):
        await asyncio.sleep(0)  # a `close` should at least have begun
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE)
    task.add_done_callback(_heard)


def _heard(task: "asyncio.Task[T]") -> None:
    """Nobody asks any more what came of it, and Python need not complain of that."""
    if not task.cancelled():
        task.exception()
