"""Reads a stream through a consumer group: each entry is handed to one run, and acknowledged once it is safely drafted.

The hand-over has three moments: Redis hands an entry to us; the run's commit drafts it; `committed` acknowledges it. A
process may die between any two. What was handed over and not committed is read again, under the same name in the group.
What was committed and not acknowledged lies before the run's place, and is acknowledged with the next commit. So an entry
leaves the group only after the commit, and no commit is made of an entry twice.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal
from uuid import uuid4

from anyio import to_thread
from redis.exceptions import RedisError

from batchflow.lines import stood
from batchflow.plugin import (
    Cursor,
    Doc,
    Given,
    Idle,
    Mendable,
    Page,
    Record,
    Seconds,
    Secret,
    SourceError,
    Unreadable,
)
from batchflow_redis.connection import Server, server, trouble
from batchflow_redis.entries import Entries, Entry
from batchflow_redis.group import Group
from batchflow_redis.hand import Hand, Mark

log = logging.getLogger(__name__)

PAGE = 500
PAGE_BYTES = 1_000_000
NOTHING_LOST = "Nothing is lost: entries stay in the stream, and those that were read wait for this run"


def redis(
    *,
    url: Annotated[
        Secret, Mendable(), Doc("The server: `redis://user:password@host:6379/0`, `rediss://` for TLS, or `unix://`.")
    ],
    stream: Annotated[str, Doc("The stream that records are read from.")],
    group: Annotated[
        str, Doc("The consumer group that shares the work; it is made, at the stream's beginning, if missing.")
    ] = "batchflow",
    key: Annotated[
        str | None, Doc("The field that names a record. Without it, a record is named by its entry's id.")
    ] = None,
    payload: Annotated[
        str | None,
        Doc(
            "The field that holds the record as a JSON object. Without it, an entry's fields are the columns, as text."
        ),
    ] = None,
    until: Annotated[
        Literal["empty", "forever"],
        Doc("empty: the run ends when the group has nothing more to hand out. forever: it waits for more."),
    ] = "empty",
    poll: Annotated[
        Seconds,
        Mendable(),
        Doc("How long to wait, `until: forever`, where nothing is new: what comes meanwhile travels together."),
    ] = 5.0,
    visibility: Annotated[
        Seconds,
        Mendable(),
        Doc(
            "How long another consumer may be silent before what it was handed is taken over. A run that is down for longer loses what it had not drafted to others."
        ),
    ] = 3600.0,
    delete: Annotated[
        bool, Doc("Whether entries are deleted from the stream once acknowledged; not where other groups read it.")
    ] = False,
    consumer: Annotated[
        str | None,
        Doc("The name in the group, which no other run may have. By default each run makes up its own and keeps it."),
    ] = None,
    spool: Annotated[
        Path | None,
        Given(),
        Doc("The folder that keeps that name, one run's alone; batchflow gives one inside its state folder."),
    ] = None,
) -> "Stream":
    """Reads a Redis stream through a consumer group; entries are acknowledged once they are safely drafted."""
    for name, value in (("poll", poll), ("visibility", visibility)):
        if value <= 0:
            raise ValueError(f"`{name}` is {value:g}, but it should be longer than nothing")
    if consumer is None and spool is None:
        raise ValueError(
            "`consumer` is needed outside of a job file: the name in the group, which no other run may have"
        )
    return Stream(
        server(url), Entries(stream, key=key, payload=payload), stream=stream, group=group,
        poll=poll if until == "forever" else None, visibility=visibility, delete=delete, consumer=consumer, spool=spool,
    )  # fmt: skip


class Stream:
    """A source of entries; looking at them takes them, so nobody looks before the run."""

    one_shot = True

    def __init__(
        self, server: Server, entries: Entries, *, stream: str, group: str, poll: float | None, visibility: float,
        delete: bool, consumer: str | None, spool: Path | None,
    ) -> None:  # fmt: skip
        self._server = server
        self._entries = entries
        self._stream = stream
        self._group = group
        self._poll = poll
        self._visibility = visibility
        self._delete = delete
        self._consumer = consumer
        self._spool = spool
        self._hand: Hand | None = None

    async def read(self, after: Cursor | None) -> AsyncGenerator[Page | Idle]:
        """Yields what was handed to this run behind the cursor, and then what is new."""
        mark = Mark(await self._name()) if after is None else stood(after, Mark)
        hand = self._hand = Hand(mark)
        async with self._connected(mark.name, f"stream {self._stream} was read") as group:
            await self._made_sure_of(group)
            async with self._kept(group, hand):
                if mark.rest:
                    page = await self._resumed(group, mark, hand)
                    mark = mark.behind(mark.rest)
                    yield page
                pages = Pages(group, mark, hand, visibility=self._visibility)
                while (entries := await pages.more()) or self._poll:
                    if self._poll and not entries:
                        yield Idle(self._poll)
                    for some, behind in pages.split(entries):
                        yield self._page(some, behind, hand)

    async def fingerprint(self) -> str | None:
        """Cannot be told: a queue holds something else every time."""
        return None

    async def committed(self, keys: list[str]) -> None:
        """Acknowledges what was drafted, and with it what lies before the place that was read from. No keys: all was given."""
        hand = self._hand
        if hand is None:
            return
        async with self._connected(hand.start.name, f"entries of stream {self._stream} were acknowledged") as group:
            if not hand.proven:
                await self._prove(group, hand.start)
                hand.proven = True
            await group.acknowledge(hand.take_back(keys), delete=self._delete)
            if not keys:
                for round in await group.rounds():
                    await group.leave(round)

    async def _prove(self, group: Group, start: Mark) -> None:
        """Acknowledge what an earlier process committed before it could say so."""
        for round in await group.rounds():
            if round <= start.round:
                async for ids in group.upto(round, start.last if round == start.round else "+"):
                    await group.acknowledge(ids, delete=self._delete)

    @asynccontextmanager
    async def _connected(self, name: str, doing: str) -> AsyncGenerator[Group]:
        with trouble(self._server, doing, SourceError, safe=NOTHING_LOST):
            async with self._server.client() as client:
                yield Group(client, stream=self._stream, group=self._group, name=name)

    async def _made_sure_of(self, group: Group) -> None:
        if self._poll is None and not await group.exists():
            raise SourceError(
                f"{self._server.name} has no stream {self._stream!r}. Nothing was read or sent",
                hint="check `stream` and the database number in `url`; `until: forever` waits for a stream that is to come",
            )
        await group.found()

    @asynccontextmanager
    async def _kept(self, group: Group, hand: Hand) -> AsyncGenerator[None]:
        """Keep what is in hand from being taken over while it waits for its turn, which may take hours."""
        hand.rounds.update(await group.rounds())
        for round in hand.rounds:
            await group.keep(round)
        task = asyncio.create_task(self._keep(hand))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep(self, hand: Hand) -> None:
        while True:
            await asyncio.sleep(self._visibility / 3)
            try:
                async with self._server.client() as client:
                    group = Group(client, stream=self._stream, group=self._group, name=hand.start.name)
                    for round in sorted(hand.rounds):
                        await group.keep(round)
            except (RedisError, OSError) as error:
                log.warning("%s: cannot say that this run is alive: %s", self._server.name, error)

    async def _resumed(self, group: Group, mark: Mark, hand: Hand) -> Page:
        """Give the page that was begun, each entry where it stood."""
        held = dict(await group.held(mark.round, mark.last, len(mark.rest)))
        entries = [(id, (id.encode(), held[id.encode()]) if id.encode() in held else None) for id in mark.rest]
        items = [self._entries.items([found])[0] if found else self._entries.lost(id) for id, found in entries]
        hand.give((item.key, id) for item, id in zip(items, mark.rest, strict=True) if item.key)
        return Page(items, mark.behind(mark.rest).cursor())

    def _page(self, entries: Sequence[Entry], mark: Mark, hand: Hand) -> Page:
        items: list[Record | Unreadable] = self._entries.items(entries)
        hand.give((item.key, id.decode()) for item, (id, _) in zip(items, entries, strict=True))
        return Page(items, mark.cursor())

    async def _name(self) -> str:
        if self._consumer is not None:
            return self._consumer
        assert self._spool is not None
        return await to_thread.run_sync(_kept_name, self._spool)


class Pages:
    """Walks the rounds: what is held, what is new, and what others have left."""

    def __init__(self, group: Group, mark: Mark, hand: Hand, *, visibility: float) -> None:
        self._group = group
        self._mark = mark
        self._hand = hand
        self._visibility = visibility
        self._look_at = 0.0
        self._count = PAGE
        self._is_newest = False
        self._is_all = False
        """Everything in this round has been given out."""

    async def more(self) -> list[Entry]:
        """Give some entries; nothing at all if there are none now."""
        while True:
            if self._is_all and monotonic() >= self._look_at:
                await self._next_round()
            if entries := await self._fetch():
                self._count = _fitting(self._count, entries)
                return entries
            if not await self._next_round():
                return []

    def split(self, entries: Sequence[Entry]) -> Iterator[tuple[Sequence[Entry], Mark]]:
        """Cut entries into pages, each with the place behind it: the first alone, since nobody stops in its middle.

        So the page of the others is named by the cursor before it.
        """
        ids = tuple(id.decode() for id, _ in entries)
        for start, end in ((0, 1), (1, len(ids))):
            if start < len(ids):
                self._mark = self._mark.behind(ids[start:end], ids[end:])
                yield entries[start:end], self._mark

    async def _fetch(self) -> list[Entry]:
        if not self._is_newest:
            held = await self._group.held(self._mark.round, self._mark.last, self._count)
            if held:
                return held
            self._is_newest = not await self._later()
            if not self._is_newest:
                return []
        entries, self._is_all = await self._group.next(self._mark.round, self._mark.last, self._count)
        return entries

    async def _next_round(self) -> bool:
        """Go on to what an earlier process took over, or take over what others have left; False where there is nothing."""
        self._look_at = monotonic() + self._visibility / 4
        later = await self._later()
        round = min(later, default=self._mark.round + 1)
        if not later and not await self._group.take_over(round, self._visibility, PAGE):
            return False
        for earlier in [one for one in self._hand.rounds if one < self._mark.round]:
            if await self._group.leave(earlier):
                self._hand.rounds.discard(earlier)
        self._hand.rounds.add(round)
        self._mark = Mark(self._mark.name, round)
        self._is_newest = self._is_all = False
        return True

    async def _later(self) -> list[int]:
        """Name the rounds behind this one in which something is held."""
        return [round for round, held in (await self._group.rounds()).items() if held and round > self._mark.round]


def _fitting(count: int, entries: Sequence[Entry]) -> int:
    """Choose how many entries to fetch next, so that a page is about a megabyte, whatever they hold."""
    size = sum(sum(map(len, cells)) for _, cells in entries if cells)
    if size > PAGE_BYTES:
        return max(1, len(entries) * PAGE_BYTES // size)
    return min(PAGE, 2 * count)


def _kept_name(folder: Path) -> str:
    """Read the name that this run has in the group, or make one up for good."""
    file = folder / "redis-consumer"
    try:
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(f"batchflow-{uuid4().hex[:12]}")
            part.replace(file)
        return file.read_text()
    except OSError as error:
        raise SourceError(
            f"cannot keep this run's name in the group: {file}: {error.strerror}",
            hint="make room or the folder writable, and run it again; nothing was read",
        ) from error
