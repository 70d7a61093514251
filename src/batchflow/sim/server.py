"""Serving an ASGI application on a thread of its own, on loopback, started and stopped in milliseconds.

uvicorn's process manager sleeps, handles signals and waits for clients to hang up; a simulator that lives for one
test wants none of that. So this takes uvicorn's HTTP protocol and leaves its server.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from batchflow.sim.connection import TRANSPORT

_KEEP_ALIVE = 3600

Result = TypeVar("Result")


class SimProtocol(H11Protocol):
    """uvicorn's protocol, with the transport put into the ASGI scope's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Remembers the connection, and sends what it is given at once.

        asyncio does not do that for sockets that come from `socket.create_server`: the kernel would keep each body back
        until the caller has acknowledged the head before it, which takes 40 ms.
        """
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.access_log = False
        self.app_state = {**self.app_state, TRANSPORT: transport}


class ThreadServer:
    """An HTTP server on a daemon thread; it listens as soon as it is made."""

    def __init__(self, app: Any, *, host: str, port: int) -> None:
        self._config = Config(
            app,
            http=SimProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        self._state = ServerState()
        self._listener = socket.create_server((host, port), backlog=512)
        self.host, self.port = host, self._listener.getsockname()[1]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batchflow-sim", daemon=True)

    def start(self) -> None:
        """Returns once connections are answered."""
        self._config.load()
        self._thread.start()
        self._ready.wait()
        if self._loop is None:
            raise RuntimeError("the simulator's server did not start")

    def stop(self) -> None:
        """Hangs up on everybody and returns once the thread is gone."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop = None
        self._listener.close()

    def call(self, act: Callable[[], Result]) -> Result:
        """Runs a function on the server's thread, where the world lives; directly when the server is not running."""
        if self._loop is None:
            return act()

        async def on_the_loop() -> Result:
            return act()

        return asyncio.run_coroutine_threadsafe(on_the_loop(), self._loop).result()

    def connections(self) -> int:
        """How many connections are open."""
        return len(self._state.connections)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop, self._stop = loop, asyncio.Event()
        server = await loop.create_server(self._protocol, sock=self._listener)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for _ in range(3):  # a connection may just be being accepted
            for connection in list(self._state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)
        if self._state.tasks:
            await asyncio.wait(self._state.tasks)
        await server.wait_closed()

    def _protocol(self) -> SimProtocol:
        return SimProtocol(config=self._config, server_state=self._state, app_state={})
