"""How Redis is reached: one place that makes clients, and one that turns what Redis says no to into sentences.

Replies are taken as Redis gives them, in its older protocol: what redis-py makes of them differs from version to version.
"""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol, TypeAlias, cast
from urllib.parse import urlsplit

import anyio
import msgspec
from redis import Redis as PlainRedis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry as PlainRetry

from batchflow.plugin import BatchflowError, Secret

SCHEMES = ("redis", "rediss", "unix")
TRIES = 6
"""Of a call that got no answer, over some five seconds. Every call here may be made twice."""
TIMEOUT = 10.0

Word: TypeAlias = str | bytes | int | float


class Transaction(Protocol):
    """Commands that are done all or none, and nothing in between them."""

    def execute_command(self, *words: Word) -> object:
        """Remember one."""
        ...

    async def execute(self) -> list[Any]:
        """Do them; give their replies."""
        ...


class Client(Protocol):
    """What is used of redis-py's client."""

    async def execute_command(self, *words: Word) -> Any:
        """Ask one thing."""
        ...

    def pipeline(self, transaction: bool = True) -> Transaction:  # noqa: FBT001, FBT002 - redis-py's own signature
        """Begin a transaction."""
        ...

    async def aclose(self) -> None:
        """Let go of the connections."""
        ...


class Server(msgspec.Struct, frozen=True):
    """A Redis, and what it may be called before people: its address without the credentials."""

    url: str
    name: str

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        """Connect, when something is asked, for as long as a block takes."""
        retry = Retry(ExponentialBackoff(cap=2.0, base=0.05), TRIES)
        made: Any = Redis  # half of its types are unknown
        real = made.from_url(
            self.url, protocol=2, decode_responses=False, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT,
            retry=retry,
        )  # fmt: skip
        real.response_callbacks.clear()
        client = cast("Client", real)
        try:
            yield client
        finally:
            with anyio.CancelScope(shield=True):
                await client.aclose()


def server(url: Secret | str) -> Server:
    """Read an address, or raise `ValueError`; it is not in the message, since it may hold a password."""
    text = url.reveal() if isinstance(url, Secret) else url
    try:
        split = urlsplit(text)
        port = split.port or 6379
    except ValueError as error:
        raise ValueError(f"`url` cannot be read: {error}. Write `redis://host:6379/0`") from None
    if split.scheme not in SCHEMES:
        raise ValueError("`url` should begin with redis://, rediss:// or unix://, as in `redis://host:6379/0`")
    where = split.path if split.scheme == "unix" else f"{split.hostname or 'localhost'}:{port}{split.path.rstrip('/')}"
    return Server(text, f"{split.scheme}://{where}")


class PlainTransaction(Protocol):
    """`Transaction`, for a thread."""

    def execute_command(self, *words: Word) -> object:
        """Remember one."""
        ...

    def execute(self) -> list[Any]:
        """Do them; give their replies."""
        ...


class PlainClient(Protocol):
    """`Client`, for a thread."""

    def pipeline(self, transaction: bool = True) -> PlainTransaction:  # noqa: FBT001, FBT002 - redis-py's own signature
        """Begin a transaction."""
        ...


def plain_client(server: Server) -> PlainClient:
    """Make a client for a thread; it tries nothing again by itself."""
    made: Any = PlainRedis
    return made.from_url(
        server.url, protocol=2, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=PlainRetry(NoBackoff(), 0)
    )


async def together(client: Client, commands: Sequence[Sequence[Word]]) -> list[Any]:
    """Do some commands all or none."""
    transaction = client.pipeline(True)
    for command in commands:
        transaction.execute_command(*command)
    return await transaction.execute()


class Raise(Protocol):
    """The class of error that a part raises."""

    def __call__(self, message: str, /, *, hint: str) -> BatchflowError:
        """Make one."""
        ...


@contextmanager
def trouble(server: Server, doing: str, error_of: Raise, *, safe: str) -> Generator[None]:
    """Let whatever Redis or the network says no to come out as one sentence: who, at what, why, and what to do next."""
    try:
        yield
    except (RedisError, OSError) as error:
        # redis-py's own messages name host and port, and never a password.
        raise error_of(f"{server.name} {_said(error)} while {doing}. {safe}", hint=_hint(server, error)) from error


def _said(error: Exception) -> str:
    if isinstance(error, ResponseError | AuthenticationError):
        return f"said no ({error})"
    return f"did not answer ({error or type(error).__name__})"


def _hint(server: Server, error: Exception) -> str:
    kinds: dict[type[Exception], str] = {
        OutOfMemoryError: "Redis is at its `maxmemory`: make room, then run the same command again",
        AuthenticationError: "check user and password in `url`, then run the same command again",
        AuthorizationError: "check user and password in `url`, then run the same command again",
        NoPermissionError: "let that user use the command on this key (ACL SETUSER), then run the same command again",
    }
    for kind, hint in kinds.items():
        if isinstance(error, kind):
            return hint
    if str(error).startswith("WRONGTYPE"):
        return "that key holds something else: name another one, or remove it"
    if isinstance(error, ResponseError):
        return "see what the message says; Redis 6.2 or newer is wanted"
    return f"see whether it is up (`redis-cli -u {server.name} ping`), then run the same command again"
