"""Virtual time: an event loop in which nothing ever waits, and the HTTP that goes with it.

When every task waits, the loop's own clock jumps to the next moment at which one goes on. So engine, provider and simulator
share one time, an hour of it costs nothing, and the same seed gives the same story to the last step. For that nothing may
be out of the loop's sight: work for threads is done at once, and calls reach the simulator without a socket.
"""

import asyncio
import selectors
from contextlib import contextmanager
from unittest.mock import patch

import anyio
import anyio.lowlevel
import httpx2
from anyio._backends._asyncio import AsyncIOBackend

from batchflow.builtin.anthropic.connection import _client
from batchflow.sim.connection import TRANSPORT
from batchflow.stages.lane import Lane


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs whoever can run; when nobody can, it is later."""

    def run_in_executor(self, executor, func, *args):
        raise AssertionError(f"{func} was given to a thread, which this loop cannot see")

    def __init__(self):
        super().__init__(_Jumping(self))
        self.moment = 1000.0
        self.set_exception_handler(
            lambda _loop, _context: None
        )  # of tasks that were cut off in the middle of their work

    def time(self):
        return self.moment


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("everybody waits, and nobody will ever go on")
        self._loop.moment += max(0.0, timeout)
        return []


async def _at_once(_cls, func, args, abandon_on_cancel=False, limiter=None):
    await anyio.lowlevel.checkpoint()
    return func(*args)


async def _in_turn(_lane, work):
    await anyio.lowlevel.checkpoint()
    return work()


async def _here(func, /, *args, **more):
    return func(*args, **more)


@contextmanager
def no_threads():
    """Does the work of threads in the loop, our own and that of the SDK: no clock may jump while somebody is at work."""
    ours = patch.object(AsyncIOBackend, "run_sync_in_worker_thread", classmethod(_at_once))
    theirs = patch.object(asyncio, "to_thread", _here)
    lanes = patch.object(Lane, "run", _in_turn)
    with ours, theirs, lanes:
        yield


class Wire(httpx2.AsyncBaseTransport):
    """Carries calls to an ASGI application. `touch` is told how far each has come, and may end the process there."""

    def __init__(self, app, touch, is_down, heard):
        self._app = app
        self._touch = touch
        self._is_down = is_down
        self._heard = heard

    async def handle_async_request(self, request):
        await self._pass("call begins")
        if self._is_down():
            raise httpx2.ConnectError("nobody there")
        body = b""
        async for piece in request.stream:
            body += piece
            self._touch("body on its way")
        await self._heard(request.method, request.url.path, body)
        ended = _Ended()
        reply = _Reply(body, ended)
        work = asyncio.ensure_future(self._app(_scope(request, ended), reply.receive, reply.send))
        try:
            await asyncio.shield(work)
        finally:
            ended.close()  # whoever waited no longer does; the server finishes what it has begun
        reply.finish()
        await self._pass("call answered")
        if not reply.status:
            raise httpx2.ReadError("the connection was reset")
        return httpx2.Response(reply.status, headers=reply.headers, stream=_Pieces(reply, self._touch))

    async def _pass(self, what):
        self._touch(what)
        await anyio.sleep(LATENCY)


LATENCY = 0.05


def _scope(request, ended):
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": request.url.query,
        "root_path": "",
        "server": (request.url.host, 80),
        "client": ("127.0.0.1", 1),
        "state": {TRANSPORT: ended},
    }


class _Ended(asyncio.Transport):
    """The connection as the simulator's faults see it."""

    def __init__(self):
        super().__init__()
        self.closed = asyncio.Event()
        self.torn = False
        self.raw = b""

    def get_extra_info(self, name, default=None):
        return default

    def is_closing(self):
        return self.closed.is_set()

    def abort(self):
        self.torn = True
        self.closed.set()

    def close(self):
        self.closed.set()

    def write(self, data):
        self.raw += data


class _Reply:
    """One exchange, from the application's side."""

    def __init__(self, body, ended):
        self._body = [body[: len(body) // 2], body[len(body) // 2 :]]
        self._ended = ended
        self.status = 0
        self.headers = []
        self.pieces = []
        self._whole = False

    @property
    def torn(self):
        """Tells whether the connection ended before the body did."""
        return not self._whole

    async def receive(self):
        if self._ended.is_closing():
            return {"type": "http.disconnect"}
        if self._body:
            return {"type": "http.request", "body": self._body.pop(0), "more_body": bool(self._body)}
        await self._ended.closed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
        else:
            self.pieces.append(message.get("body", b""))
            self._whole = not message.get("more_body")

    def finish(self):
        """Takes what was written past HTTP: a head and a body that ends where the connection does."""
        head, _, body = self._ended.raw.partition(b"\r\n\r\n")
        if head:
            first, *lines = head.split(b"\r\n")
            self.status = int(first.split()[1])
            self.headers = [tuple(line.split(b": ", 1)) for line in lines]
            self.pieces, self._whole = [body], True


class _Pieces(httpx2.AsyncByteStream):
    """The body of a reply, as far as it comes."""

    def __init__(self, reply, touch):
        self._reply = reply
        self._touch = touch

    async def __aiter__(self):
        for piece in self._reply.pieces:
            self._touch("reply on its way")
            yield piece
        if self._reply.torn:
            raise httpx2.RemoteProtocolError("peer closed connection without sending complete message body")


class WiredConnection:
    """Stands where `Connection` stands: the SDK's own client, headers and all, over a wire."""

    def __init__(self, account, wire):
        http = httpx2.AsyncClient(transport=wire, trust_env=False, follow_redirects=False)
        self.reads = self.creates = _client(account, http)

    async def close(self):
        """Has nothing to give back."""
