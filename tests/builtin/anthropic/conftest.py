"""A simulator for what the API does, and raw sockets for what only a network does."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import SocketAttribute, SocketStream

from batchflow.builtin.anthropic.provider import anthropic
from batchflow.model.units import Secret
from batchflow.ports.provider import Outgoing, Provider
from batchflow.sim import Simulator

KEY = "sk-ant-test-0123456789"


class Heard(msgspec.Struct):
    """One request as it came over the wire."""

    head: str
    body: bytes
    whole: bool

    def header(self, name: str) -> str | None:
        found = [
            line.partition(":")[2].strip()
            for line in self.head.split("\r\n")[1:]
            if line.lower().startswith(f"{name.lower()}:")
        ]
        return ", ".join(found) if found else None


class Line:
    """The server's end of one connection."""

    def __init__(self, stream: SocketStream, heard: list[Heard]) -> None:
        self.stream = stream
        self._heard = heard
        self._rest = b""

    async def head(self) -> str:
        """Reads a request's head and nothing more than came with it."""
        while b"\r\n\r\n" not in self._rest:
            self._rest += await self.stream.receive()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        return head.decode()

    async def hear(self) -> Heard:
        """Reads one request, or as much of it as comes."""
        heard = Heard(await self.head(), b"", whole=False)
        self._heard.append(heard)
        length = int(heard.header("content-length") or 0)
        try:
            while len(self._rest) < length:
                self._rest += await self.stream.receive()
            heard.whole = True
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass
        heard.body, self._rest = self._rest[:length], self._rest[length:]
        return heard

    async def say(self, status: int, body: bytes = b"{}", **headers: str) -> None:
        told = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        await self.stream.send(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body)

    async def reset(self) -> None:
        """Breaks the connection so that the other side hears of it as a reset."""
        raw = self.stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await self.stream.aclose()


class Server:
    """What a raw server heard, and whether a connection has come to its end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.heard: list[Heard] = []
        self.connections = 0
        self.ended = anyio.Event()


Behaviour = Callable[[Line], Awaitable[None]]
Serve = Callable[[Behaviour], AbstractAsyncContextManager[Server]]


@asynccontextmanager
async def serving(behave: Behaviour) -> AsyncIterator[Server]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    server = Server(f"http://127.0.0.1:{port}")

    async def handle(stream: SocketStream) -> None:
        server.connections += 1
        try:
            async with stream:
                await behave(Line(stream, server.heard))
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            server.ended.set()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield server
        tasks.cancel_scope.cancel()


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture
def dead_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(seed=7, speed=0) as simulator:
        yield simulator


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("API_KEY", "AUTH_TOKEN", "BASE_URL", "CUSTOM_HEADERS", "PROFILE", "LOG"):
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


Connect = Callable[..., AbstractAsyncContextManager[Provider]]


@pytest.fixture
def connect() -> Connect:
    @asynccontextmanager
    async def connected(url: str, **options: Any) -> AsyncIterator[Provider]:
        provider = anthropic(**{"api_key": Secret(KEY), "base_url": url} | options)
        try:
            yield provider
        finally:
            await provider.close()

    return connected


def params(text: str = "hello", **more: Any) -> bytes:
    body = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    return msgspec.json.encode(body | more)


Pack = Callable[..., Outgoing]


@pytest.fixture
def pack() -> Pack:
    def outgoing(
        rows: Sequence[bytes] | int = 3,
        *,
        token: str = "tok",
        check: Callable[[], None] = lambda: None,
        timeout: float = 20.0,
        chunk: int = 2,
        **announced: int,
    ) -> Outgoing:
        listed = [params(f"row {n}") for n in range(rows)] if isinstance(rows, int) else rows

        async def chunks() -> AsyncIterator[Sequence[bytes]]:
            for start in range(0, len(listed), chunk):
                yield listed[start : start + chunk]

        size = {"count": len(listed), "params_bytes": sum(map(len, listed))} | announced
        return Outgoing(token=token, chunks=chunks(), check=check, timeout=timeout, **size)

    return outgoing
