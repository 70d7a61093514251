"""The TCP connection under a request, for the faults that HTTP cannot express: resets, half replies, silence.

uvicorn hides the transport from applications; `SimProtocol` (server.py) puts it into the ASGI scope, and this module
is the only one that touches it.
"""

import asyncio
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator, Iterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batchflow.sim.faults import Rule

TRANSPORT = "simulator.transport"
_LINGER_NOT = struct.pack("ii", 1, 0)


class Gone(Exception):
    """The connection is broken and there is nobody to answer."""


class Silence(Response):
    """The response to a broken connection: waits until uvicorn has noticed, and sends nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Ends the request without a word."""
        await hung_up(receive)


async def hung_up(receive: Receive) -> None:
    """Returns when the connection is gone; whatever else arrives is thrown away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def transport_of(scope: Scope) -> asyncio.Transport:
    """The transport that the request came over."""
    transport = scope["state"][TRANSPORT]
    assert isinstance(transport, asyncio.Transport)
    return transport


def reset(scope: Scope) -> None:
    """Breaks the connection at once with a TCP RST; what was not sent yet is thrown away."""
    transport = transport_of(scope)
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


def kill(rule: Rule) -> None:
    """Kills the process that the rule names: a crash test's way to choose the very byte."""
    if rule.pid is not None:
        os.kill(rule.pid, signal.SIGKILL)


def watched(parts: Iterator[bytes], *, at_byte: int) -> Iterator[bytes]:
    """The parts up to exactly `at_byte` bytes; then it ends."""
    left = at_byte
    for part in parts:
        if len(part) >= left:
            yield part[:left]
            return
        left -= len(part)
        yield part


async def read_body(request: Request, *, limit: int, cut: Rule | None) -> bytearray | None:
    """The request's body; None if it is over the limit (then it is read and thrown away).

    A `cut` rule with at_byte resets the connection, or kills a process, once so many bytes have been read.
    """
    body, size = bytearray(), 0
    async for part in _parts(request):
        size += len(part)
        if size <= limit:
            body += part
        elif body:
            body = bytearray()
        if cut is not None and size >= (cut.at_byte or 0):
            if cut.fault == "kill":
                kill(cut)
            reset(request.scope)
            raise Gone
    return body if size <= limit else None


async def _parts(request: Request) -> AsyncIterator[bytes]:
    try:
        async for part in request.stream():
            if part:
                yield part
    except ClientDisconnect:
        raise Gone from None
