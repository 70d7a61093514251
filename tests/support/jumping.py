"""An event loop in which waiting takes no time, over real sockets, real files and real threads.

Time stands still while anybody is at work: a task that can run, bytes on a socket, a thread with something to do. When
nobody is, the clock jumps to the next moment at which somebody goes on. So ten minutes of grace cost a millisecond, and a
busy machine never looks like a slow server: only what waits can be late. Both ends of every connection must be in the loop.
"""

import asyncio
import queue
import selectors
import time
from contextlib import contextmanager
from unittest.mock import patch

import aiosqlite.core
import anyio
from anyio._backends._asyncio import AsyncIOBackend

from batchflow.engine import nap
from batchflow.sim import Simulator
from batchflow.sim.clock import SimClock
from batchflow.sim.http import Api
from batchflow.sim.server import ThreadServer
from batchflow.stages.lane import Lane

EPOCH = 1_800_000_000.0
SETTLE = 0.001
"""What was sent over loopback is there at once; a moment more is given to a kernel that has much to do."""
PATIENCE = 60.0
"""Real seconds after which whoever is waited for will never go on."""


class JumpingLoop(asyncio.SelectorEventLoop):
    """Runs whoever can run; when nobody can and nobody is at work elsewhere, it is later."""

    def __init__(self):
        super().__init__(_Jumping(self))
        self.moment = 1000.0
        self._elsewhere = set()

    def time(self):
        return self.moment

    @property
    def busy_elsewhere(self):
        return bool(self._elsewhere)

    def at_work(self, future):
        """Lets time stand still until this is done."""
        self._elsewhere.add(future)
        future.add_done_callback(self._elsewhere.discard)
        return future

    def stands_still(self):
        """Said by a thread that will never be done: nobody waits for it with the clock in hand."""
        self.call_soon_threadsafe(self._elsewhere.clear)

    def run_in_executor(self, executor, func, *args):
        return self.at_work(super().run_in_executor(executor, func, *args))

    async def shutdown_default_executor(self, *_):
        """Wait without the limit that Python gives from 3.12 on: the thread that waits there is not seen at work, so it was over at once."""
        await super().shutdown_default_executor()


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self._loop.busy_elsewhere or timeout is None:
            if not (heard := super().select(PATIENCE)):
                raise RuntimeError("everybody waits, and nobody will ever go on")
            return heard
        if not (heard := self._settled()):
            self._loop.moment += timeout
        return heard

    def _settled(self):
        """Hears what is on its way. A machine that did not let us run did not let the kernel run either: it gets its moment again."""
        while True:
            began = time.monotonic()
            heard = super().select(SETTLE)
            if heard or time.monotonic() - began < 5 * SETTLE:
                return heard


class _Queue(queue.SimpleQueue):
    """The work given to a thread of aiosqlite, seen by the loop that waits for it."""

    def put_nowait(self, item):
        future, _ = item
        if future is not None and isinstance(loop := future.get_loop(), JumpingLoop):
            loop.at_work(future)
        super().put_nowait(item)


@contextmanager
def seen_at_work():
    """Makes work in threads known to the loop; and has the driver look round for wishes less often, for each look costs a query."""
    run_sync = AsyncIOBackend.run_sync_in_worker_thread.__func__

    async def in_thread(cls, func, args, abandon_on_cancel=False, limiter=None):
        loop = asyncio.get_running_loop()
        token = loop.create_future()
        if isinstance(loop, JumpingLoop):
            loop.at_work(token)
        try:
            return await run_sync(cls, func, args, abandon_on_cancel, limiter)
        finally:
            token.cancel()

    run_in_lane = Lane.run

    async def in_lane(lane, work):
        loop = asyncio.get_running_loop()
        token = loop.create_future()
        if isinstance(loop, JumpingLoop):
            loop.at_work(token)
        try:
            return await run_in_lane(lane, work)
        finally:
            token.cancel()

    with (
        patch.object(Lane, "run", in_lane),
        patch.object(AsyncIOBackend, "run_sync_in_worker_thread", classmethod(in_thread)),
        patch.object(aiosqlite.core, "SimpleQueue", _Queue),
        patch.object(nap, "LISTEN", 10.0),
    ):
        yield


class LoopClock:
    """Keeps `ports.clock.Clock`; the wall clock can be set, as people and NTP do, and the machine can be suspended."""

    def __init__(self, loop):
        self._loop = loop
        self.ahead = EPOCH
        self._slept = 0.0

    def now(self):
        return self._loop.time() + self.ahead

    def boot(self):
        return self._loop.time() + self._slept

    async def sleep(self, seconds):
        await anyio.sleep(max(0.0, seconds))

    def shift_wall(self, seconds):
        self.ahead += seconds

    def suspend(self, seconds):
        """Both clocks go on while the machine sleeps, and no timer does."""
        self.ahead += seconds
        self._slept += seconds


class _LoopServer(ThreadServer):
    """The simulator's server on the loop of whoever calls it, so that its time is theirs."""

    def start(self):
        self._config.load()
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def call(self, act):
        return act()

    async def aclose(self):
        if self._stop is None:
            await asyncio.sleep(0)
        self._stop.set()
        await self._task
        self._listener.close()


class LoopSimulator(Simulator):
    """The simulator over real HTTP, in the time of the loop: turn its clock by `clock.advance`."""

    def __init__(self, **options):
        assert not options.keys() & {"speed", "start"}, "its time is the loop's"
        loop = asyncio.get_running_loop()
        super().__init__(clock=SimClock(start=EPOCH + loop.time(), real=loop.time), **options)

    def _make_server(self):
        host, port = self._where
        return _LoopServer(Api(self._world).app(), host=host, port=port)

    async def aclose(self):
        server, self._server = self._server, None
        await server.aclose()
