"""HTTP calls through an SDK client: bytes out, a Reply back whatever the status, and one kind of error for no reply."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from batchflow.builtin.anthropic.body import Body, Parcel
from batchflow.builtin.anthropic.verdicts import Reply

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic
    from anthropic._types import RequestOptions

PIECE = 256 * 1024


class NoReply(Exception):
    """No reply came; the text says why as far as anybody knows."""


class CutShort(Exception):
    """A download broke off."""


async def get(client: "AsyncAnthropic", path: str, query: Mapping[str, object] | None = None) -> Reply:
    """Reads something."""
    import anthropic
    import httpx2

    try:
        response = await client.get(path, cast_to=httpx2.Response, options={"params": query or {}})
    except anthropic.APIStatusError as error:
        response = error.response
    except anthropic.APIConnectionError as error:
        raise NoReply(why(error)) from error
    return _reply(response)


async def post(client: "AsyncAnthropic", path: str, body: Body | Parcel, patience: float) -> Reply:
    """Sends something; the body is passed on as it is produced, so neither the SDK nor its debug log ever holds it."""
    import anthropic
    import httpx2

    from batchflow.builtin.anthropic.connection import timeouts

    try:
        response = await client.post(
            path,
            cast_to=httpx2.Response,
            content=body,
            options={"headers": {"Content-Length": str(body.length)}, "timeout": timeouts(patience)},
        )
    except anthropic.APIStatusError as error:
        response = error.response
    except anthropic.APIConnectionError as error:
        raise NoReply(why(error)) from error
    return _reply(response)


@asynccontextmanager
async def download(client: "AsyncAnthropic", path: str) -> AsyncGenerator[tuple[Reply, AsyncGenerator[bytes]]]:
    """Opens a file for streaming: a reply without body and the file's pieces, or the refusal and nothing."""
    import anthropic
    import httpx2

    options: RequestOptions = {"headers": {"Accept": "application/binary"}}
    streamed: bool = True
    try:
        response = await client.get(path, cast_to=httpx2.Response, options=options, stream=streamed)
    except anthropic.APIStatusError as error:
        response = error.response  # which the SDK has read
    except anthropic.APIConnectionError as error:
        raise NoReply(why(error)) from error
    body = response.content if response.is_closed else b""
    try:
        async with aclosing(_pieces(response)) as pieces:
            yield Reply(response.status_code, body, response.headers), pieces
    finally:
        await response.aclose()


async def _pieces(response: "httpx2.Response") -> AsyncGenerator[bytes]:
    """Gathers what the socket gives into pieces worth a thread hop downstream."""
    import httpx2

    _widen(response)
    waiting: list[bytes] = []
    size = 0
    try:
        async for data in response.aiter_bytes():
            waiting.append(data)
            size += len(data)
            if size >= PIECE:
                yield b"".join(waiting)
                waiting, size = [], 0
    except httpx2.HTTPError as error:
        raise CutShort(why(error)) from error
    if waiting:
        yield b"".join(waiting)


def _widen(response: "httpx2.Response") -> None:
    """Lets the SDK's aiohttp transport hand out what it has, not 16 KiB at a time through six generators (2 % of a run's CPU).

    Nothing public says so; where it is not as it was, pieces are as small as ever.
    """
    stream: Any = getattr(response.stream, "_stream", None)
    if hasattr(stream, "CHUNK_SIZE"):
        stream.CHUNK_SIZE = PIECE


def why(error: BaseException) -> str:
    """Names the first cause of a failed call: the SDK says only "Connection error."."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__} {error}".strip()


def _reply(response: "httpx2.Response") -> Reply:
    return Reply(response.status_code, response.content, response.headers)
