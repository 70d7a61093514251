"""Writes results to Redis: a hash for each record, or an entry of a stream for each.

A hash replaces itself, so a part that comes twice changes nothing. A stream only grows: which rows of a part are in it is
kept in a set beside it, in the very script that adds them, until the part's receipt is safe.
"""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from hashlib import blake2b
from typing import Annotated, Literal, Protocol, TypeAlias

import msgspec

from batchflow.lines import SAFE, cells, json_lines, known
from batchflow.plugin import (
    Doc,
    Given,
    Mendable,
    Part,
    Promise,
    Receipt,
    Result,
    Seconds,
    Secret,
    Sink,
    SinkContext,
    SinkError,
)
from batchflow_redis.connection import Client, Server, Word, server, trouble
from batchflow_redis.group import round_up

Pairs: TypeAlias = list[Word]
"""Names and values in turn."""

JSON = "json"
"""The field that a whole result is in."""

ADD = """
local at = 2
for _ = 1, tonumber(ARGV[1]) do
    local member, count = ARGV[at], tonumber(ARGV[at + 1])
    if redis.call('SISMEMBER', KEYS[2], member) == 0 then
        redis.call('XADD', KEYS[1], unpack(ARGV, at + 2, at + 1 + count))
        redis.call('SADD', KEYS[2], member)
    end
    at = at + 2 + count
end
"""
"""Adds those rows that are not in the stream yet. The entry first: a script that stops halfway leaves no row marked but missing."""

REPLACE = """
local at = 2
for _, name in ipairs(KEYS) do
    local count = tonumber(ARGV[at])
    redis.call('DEL', name)
    if count > 0 then redis.call('HSET', name, unpack(ARGV, at + 1, at + count)) end
    if ARGV[1] ~= '0' then redis.call('PEXPIRE', name, ARGV[1]) end
    at = at + 1 + count
end
"""
"""Nobody sees a hash between its old fields and its new ones; one script is a third of the work of its commands."""


def redis(
    *,
    url: Annotated[
        Secret, Mendable(), Doc("The server: `redis://user:password@host:6379/0`, `rediss://` for TLS, or `unix://`.")
    ],
    prefix: Annotated[
        str | None, Doc("Each result becomes a hash, whose name is this and the record's key: `triage:`.")
    ] = None,
    stream: Annotated[str | None, Doc("Each result becomes an entry of this stream.")] = None,
    format: Annotated[
        Literal["fields", "json"],
        Doc(
            "fields: a field for each of `fields`, as text; null is left out. json: one field, `json`, with what a line of the `jsonl` sink has."
        ),
    ] = "fields",
    fields: Annotated[
        dict[str, str] | None,
        Doc(
            "Name -> what it gets: key, text, output.NAME, usage.input_tokens, a carried column, 'text'. Structures become JSON text. "
            "By default key, word, text, error, attempt, model, input_tokens, output_tokens, cost, batch."
        ),
    ] = None,
    expire: Annotated[Seconds | None, Doc("With `prefix`: how long a hash stays. By default for good.")] = None,
    maxlen: Annotated[
        int | None, Doc("With `stream`: about how many entries it keeps; older ones are trimmed, read or not.")
    ] = None,
    carry: Annotated[Sequence[str] | None, Given(), Doc("The job's carried columns, which `fields` may name.")] = None,
) -> Sink:
    """Results in Redis: a hash each (`prefix`), replaced when written again, or an entry of a stream each (`stream`), exactly once."""
    shape = Whole(fields, carry) if format == "json" else Columns(fields, carry)
    if prefix is not None and stream is None:
        _refuse("maxlen", maxlen, "stream")
        if expire is not None and expire <= 0:
            raise ValueError(f"`expire` is {expire:g}, but it should be longer than nothing")
        return Hashes(server(url), shape, prefix=prefix, expire=expire)
    if stream and prefix is None:
        _refuse("expire", expire, "prefix")
        if maxlen is not None and maxlen < 1:
            raise ValueError(f"`maxlen` is {maxlen}, but at least one entry must stay")
        return Entries(server(url), shape, stream=stream, maxlen=maxlen)
    raise ValueError(
        "`prefix` or `stream`: one of them says where results go, as in `prefix: 'triage:'` or `stream: answers`"
    )


def _refuse(name: str, value: object, wanted: str) -> None:
    if value is not None:
        raise ValueError(f"`{name}` is only for results that go to a `{wanted}`")


class Shape(Protocol):
    """What a hash or an entry holds."""

    def __call__(self, rows: Sequence[Result]) -> Iterator[Pairs]:
        """Give names and values of some results."""
        ...


class Columns:
    """A field for each column; what is null is left out."""

    def __init__(self, fields: dict[str, str] | None, carry: Sequence[str] | None) -> None:
        self._cells = cells(fields, carry)

    def __call__(self, rows: Sequence[Result]) -> Iterator[Pairs]:
        """Give names and values of some results."""
        names = self._cells.names
        for row in self._cells.rows(rows):
            yield [word for name, value in zip(names, row, strict=True) if value is not None for word in (name, value)]


class Whole:
    """One field with the whole result, as the `jsonl` sink would write it."""

    def __init__(self, fields: dict[str, str] | None, carry: Sequence[str] | None) -> None:
        self._lines = json_lines(fields, carry)

    def __call__(self, rows: Sequence[Result]) -> Iterator[Pairs]:
        """Give names and values of some results."""
        return ([JSON, line] for line in self._lines.encode(rows).split(b"\n")[: len(rows)])


class Kept(msgspec.Struct, frozen=True):
    """The receipt: the last part that is wholly in Redis."""

    part: str
    rows: int


class _Target:
    """What both ways of writing share: a connection from `open` to `close`."""

    def __init__(self, server: Server, shape: Shape) -> None:
        self._server = server
        self._shape = shape
        self._open = AsyncExitStack()

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Connects, and sees that it can write there."""
        client = await self._open.enter_async_context(self._server.client())
        with trouble(self._server, "the sink was opened", SinkError, safe=SAFE):
            await self._enter(client, context, known(last, Kept))

    async def write(self, part: Part) -> Receipt:
        """Writes a part, chunk by chunk."""
        count = 0
        async for rows in part.rows:
            if rows:
                with trouble(self._server, f"part {part.name} was written", SinkError, safe=SAFE):
                    await self._put(part.name, rows)
            count += len(rows)
        return msgspec.to_builtins(Kept(part.name, count))

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._open.aclose()

    async def _enter(self, client: Client, context: SinkContext, last: Kept | None) -> None:
        raise NotImplementedError

    async def _put(self, part: str, rows: Sequence[Result]) -> None:
        raise NotImplementedError


class Hashes(_Target):
    """A hash for each result. Written again it is replaced, fields that it has no more among them."""

    promise: Promise = "keyed"

    def __init__(self, server: Server, shape: Shape, *, prefix: str, expire: float | None) -> None:
        super().__init__(server, shape)
        self._prefix = prefix
        self._expire = expire

    async def _enter(self, client: Client, context: SinkContext, last: Kept | None) -> None:
        del context, last
        self._client = client
        await client.execute_command("PING")

    async def _put(self, part: str, rows: Sequence[Result]) -> None:
        del part
        words: list[Word] = [0 if self._expire is None else round_up(self._expire)]
        for pairs in self._shape(rows):
            words += (len(pairs), *pairs)
        names = [self._prefix + row.key for row in rows]
        await self._client.execute_command("EVAL", REPLACE, len(names), *names, *words)


class Entries(_Target):
    """An entry for each result, which is there once however often its part comes."""

    promise: Promise = "receipt"

    def __init__(self, server: Server, shape: Shape, *, stream: str, maxlen: int | None) -> None:
        super().__init__(server, shape)
        self._stream = stream
        self._how: tuple[Word, ...] = ("*",) if maxlen is None else ("MAXLEN", "~", maxlen, "*")

    async def committed(self, receipt: Receipt) -> None:
        """Forgets which rows of a part are there: it will not come again."""
        if (kept := known(receipt, Kept)) is not None:
            with trouble(self._server, f"part {kept.part} was confirmed", SinkError, safe=SAFE):
                await self._client.execute_command("DEL", self._marker(kept.part))

    async def _enter(self, client: Client, context: SinkContext, last: Kept | None) -> None:
        self._client, self._context = client, context
        kind = await client.execute_command("TYPE", self._stream)
        if kind not in {b"none", b"stream"}:
            raise SinkError(
                f"{self._server.name} has a {kind.decode()} called {self._stream!r}, not a stream. Nothing was touched. {SAFE}",
                hint="name another `stream`, or remove what is there",
            )
        if last is not None:
            await client.execute_command("DEL", self._marker(last.part))

    async def _put(self, part: str, rows: Sequence[Result]) -> None:
        words: list[Word] = [len(rows)]
        for row, pairs in zip(rows, self._shape(rows), strict=True):
            words += (f"{row.row}:{row.key}", len(self._how) + len(pairs), *self._how, *pairs)
        await self._client.execute_command("EVAL", ADD, 2, self._stream, self._marker(part), *words)

    def _marker(self, part: str) -> str:
        """Name the set of a part's rows: beside the stream, also in a cluster, where names in braces go together."""
        whose = f"{self._context.run}\n{self._context.sink}\n{part}".encode("utf-8", "surrogatepass")
        tag = self._stream if "{" in self._stream else f"{{{self._stream}}}"
        return f"{tag}:batchflow:{blake2b(whose, digest_size=12).hexdigest()}"
