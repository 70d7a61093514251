"""A consumer group of a stream, as one run sees it: what it was handed, what is new, and whom it takes entries over from.

A run reads under names of its own, `NAME:1`, `NAME:2`, ... A name is a *round*: in it, what was handed to us but not yet
acknowledged is a list that only grows at its end, so a place in it is one id. What is taken over from the dead is older
than what was read last, and would break that order: it begins a new round.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from batchflow_redis.connection import Client, together
from batchflow_redis.entries import Entry

log = logging.getLogger(__name__)

BEGINNING = "0-0"
AT_ONCE = 1000
"""Ids in one command."""

KEEP = """
local found = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], '+', ARGV[4], ARGV[2])
local last = ''
for _, entry in ipairs(found) do
    if #redis.call('XRANGE', KEYS[1], entry[1], entry[1]) > 0 then
        redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry[1], 'JUSTID')
    end
    last = entry[1]
end
return last
"""
"""Keeps what a consumer holds from being taken for a dead one's. One script: what is not ours any more is not taken back.
What was trimmed is left alone, for to claim it is to forget it, and it should be told as a dead letter."""

LEAVE = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return 1
end
return 0
"""
"""Forgets a consumer that holds nothing; to forget one that does would lose its entries."""


class Group:
    """One stream, one group, one name in it, over one connection."""

    def __init__(self, client: Client, *, stream: str, group: str, name: str) -> None:
        self._client = client
        self._stream = stream
        self._group = group
        self._name = name

    async def exists(self) -> bool:
        """Tell whether there is such a stream."""
        return bool(await self._ask("EXISTS", self._stream))

    async def found(self) -> None:
        """Make the group, from the stream's beginning on, where it is missing; the stream, too."""
        try:
            await self._ask("XGROUP", "CREATE", self._stream, self._group, BEGINNING, "MKSTREAM")
        except Exception as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def rounds(self) -> dict[int, int]:
        """List our rounds, and how many entries are held in each."""
        told = await self._ask("XINFO", "CONSUMERS", self._stream, self._group)
        consumers = [dict(zip(one[::2], one[1::2], strict=True)) for one in told]
        ours = [(*one[b"name"].decode("utf-8", "replace").rpartition(":"), one[b"pending"]) for one in consumers]
        return {int(number): held for name, _, number, held in ours if name == self._name and number.isdecimal()}

    async def held(self, round: int, after: str, count: int) -> list[Entry]:
        """Give what was handed to us in a round and is not acknowledged, in order."""
        return _entries(await self._ask(*self._read(round, after, count)))

    async def next(self, round: int, after: str, count: int) -> tuple[list[Entry], bool]:
        """Give what follows an id in the newest round, fetching what is new; and tell whether that is all of it.

        Both questions in one transaction: whatever was fetched under our name and got lost on the way lies between them.
        """
        held, new = map(_entries, await together(
            self._client, [self._read(round, after, count), self._read(round, ">", count)]
        ))  # fmt: skip
        return (held, False) if len(held) == count else (held + new, True)

    async def take_over(self, round: int, idle: float, most: int) -> bool:
        """Take what others were handed and did not acknowledge in so many seconds; tell whether there was any."""
        start, taken = BEGINNING, 0
        while taken < most:
            start, ids, *trimmed = await self._ask(
                "XAUTOCLAIM", self._stream, self._group, self._consumer(round), round_up(idle), start,
                "COUNT", most, "JUSTID",
            )  # fmt: skip
            taken += len(ids)
            if any(trimmed):
                log.warning(
                    "stream %s: %d entries of a dead consumer were trimmed before anybody read them",
                    self._stream,
                    len(trimmed[0]),
                )
            if start == BEGINNING.encode():
                break
        return taken > 0

    async def acknowledge(self, ids: Sequence[str], *, delete: bool) -> None:
        """Tell the group that these are done; told twice, it is no different."""
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            commands: list[Sequence[str]] = [("XACK", self._stream, self._group, *some)]
            if delete:
                commands.append(("XDEL", self._stream, *some))
            await together(self._client, commands)

    async def upto(self, round: int, last: str) -> AsyncGenerator[list[str]]:
        """List, in pieces, what is held in a round up to an id."""
        start = "-"
        while found := await self._pending(round, start, last):
            yield found
            start = f"({found[-1]}"

    async def keep(self, round: int) -> None:
        """Say that whoever holds this is alive."""
        start = "-"
        while last := await self._ask(
            "EVAL", KEEP, 1, self._stream, self._group, self._consumer(round), start, AT_ONCE
        ):
            start = f"({last.decode()}"

    async def leave(self, round: int) -> bool:
        """Be forgotten, unless something is held."""
        return await self._ask("EVAL", LEAVE, 1, self._stream, self._group, self._consumer(round)) == 1

    async def _pending(self, round: int, start: str, last: str) -> list[str]:
        told = await self._ask("XPENDING", self._stream, self._group, start, last, AT_ONCE, self._consumer(round))
        return [one[0].decode() for one in told]

    def _read(self, round: int, after: str, count: int) -> tuple[str | int, ...]:
        consumer = self._consumer(round)
        return "XREADGROUP", "GROUP", self._group, consumer, "COUNT", count, "STREAMS", self._stream, after

    def _consumer(self, round: int) -> str:
        return f"{self._name}:{round}"

    async def _ask(self, *words: str | int) -> Any:
        return await self._client.execute_command(*words)


def round_up(seconds: float) -> int:
    """Write a time as Redis wants it."""
    return max(1, round(seconds * 1000))


def _entries(told: Any) -> list[Entry]:
    if not told:
        return []
    return [(id, cells) for id, cells in cast("list[list[Any]]", told[0][1])]
