"""Draft: read the source, build requests, cut packs, commit each with the place it was read up to.

The reader keeps its iterator between packs only to spare re-reading; what it has not committed, a restart reads again.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from functools import partial
from itertools import repeat
from types import NoneType
from typing import Protocol, TypeAlias, TypeGuard, cast

import msgspec

from batchflow.machine.batch import UNCERTAIN
from batchflow.machine.packing import PackLimits, target_rows
from batchflow.machine.run import Read
from batchflow.model import errors
from batchflow.model.change import Count, Put, Step
from batchflow.model.record import Cursor, Idle, Page, Position, Record, Skip, Unreadable
from batchflow.model.state import Batch
from batchflow.model.words import Word
from batchflow.ports.builder import BuildError, ByPage
from batchflow.ports.source import Acknowledging, Source
from batchflow.stages.ask import requests_of
from batchflow.stages.asked import asked, let_go, where_of
from batchflow.stages.context import Row, encode_rows
from batchflow.stages.kit import Kit
from batchflow.stages.pack import Pack
from batchflow.stages.reject import Reject, reject
from batchflow.stages.retell import last_keys
from batchflow.stages.wall import blame, misgiven, wall

TOKEN_LENGTH = 20
STRIDE = 512
"""Items looked at in one go: a pack's limits are checked between them."""
MOST_READ = 200_000
"""Items after which a pack is committed though it is not full: a source of nothing but duplicates must not fill memory."""
EXAMPLES = 5
"""Duplicates named in one event; the books count the others."""

Item: TypeAlias = "Record | Unreadable"
Built: TypeAlias = "bytes | list[bytes] | Skip | Reject"


class Seen(Protocol):
    """Knows which keys came before, exactly, in bounded memory."""

    def add(self, keys: Sequence[str], first: int, /) -> Sequence[bool]:
        """Tell which of these are to be passed over as duplicates, and remember them; `first` is the first one's place.

        A place without a key comes as an empty one.
        """
        ...

    async def checkpoint(self, label: str) -> None:
        """Make everything added so far belong to this batch, which has been committed."""
        ...

    async def close(self) -> None:
        """Let go of files; what was not checkpointed may be forgotten."""
        ...


class Tally:
    """What one pack adds to the books besides its rows."""

    def __init__(self) -> None:
        self.read = self.skipped = self.duplicate = self.built = 0
        self.rejects: list[Reject] = []
        self.doubles: list[str] = []
        self.keys: list[str] = []
        """Keys of every record taken, kept only for a source that wants to hear of them."""


class Pages:
    """Walks a source item by item while remembering where a restart would have to begin."""

    def __init__(self, source: Source, start: Position, within: float) -> None:
        self._source = source
        self._within = within
        with wall(source, "when it was to be read"):
            self._pages: AsyncIterator[Page | Idle] = source.read(start.cursor)
        if not isinstance(self._pages, AsyncIterator):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
            raise misgiven(
                source, "when it was to be read", self._pages, "an async iterator of pages (`async def` with `yield`)"
            )
        self._before = self._after = start.cursor
        self._skip = start.skip
        self._items: list[Item] = []
        self._behind: Callable[[int], Cursor | None] | None = None
        self._at = 0
        self.ended = False
        self.rest = 0.0
        """Seconds for which the source has nothing to give; none while it has."""

    @property
    def position(self) -> Position:
        """Name the place after the last item taken."""
        if self._at == len(self._items):
            return Position(self._after, self._skip)
        exact = self._behind(self._at) if self._behind is not None and self._at else None
        return Position(self._before, self._at) if exact is None else Position(exact)

    async def ready(self) -> bool:
        """Fetch the next page if the one at hand is used up; False when there is none (any more, or for now)."""
        self.rest = 0.0
        while self._at == len(self._items) and not self.ended:
            page = await asked(
                self._source,
                "while it was read",
                partial(anext, self._pages, None),
                within=self._within,
                where=where_of(self._source),
            )
            if page is None:
                self.ended = True
                break
            if isinstance(page, Idle):
                self.rest = page.wake
                return False
            if not isinstance(page, Page):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
                raise misgiven(self._source, "while it was read", page, "a `Page` of records, or `Idle`")
            self._before, self._items, self._after = self._after, page.items, page.cursor
            self._behind = page.behind
            self._at = min(self._skip, len(page.items))
            self._skip -= self._at
        return not self.ended

    def peek(self, count: int) -> Sequence[Item]:
        """Look at the next items of the page at hand."""
        return self._items[self._at : self._at + count]

    def take(self, count: int) -> None:
        """Count the next items as dealt with."""
        self._at += count

    async def close(self) -> None:
        """Let the source go."""
        if isinstance(pages := self._pages, AsyncGenerator):
            close = cast("AsyncGenerator[Page | Idle]", pages).aclose
            await let_go(self._source, "when it was let go", close, within=self._within)


class Reader:
    """Turns a run's source into drafted batches, one commit each."""

    def __init__(self, kit: Kit, *, start: Position, read: int, seen: Seen) -> None:
        self._kit = kit
        self._seen = seen
        self._place = read
        """How many items of the source have been taken in all, over every restart."""
        self._pages = Pages(kit.parts.source, start, kit.parts.rules.plugin_timeout)
        self._make = kit.parts.builder.build
        self._make_page = kit.parts.builder.build_page if isinstance(kit.parts.builder, ByPage) else None
        self._since = start
        self._broken = False
        self.resting_until = 0.0
        """There is nothing to read before then."""
        source = kit.parts.source
        self._acknowledge = source.committed if isinstance(source, Acknowledging) else None
        self._record_bytes = min(kit.provider.limits().record_bytes, self._params_limit()) - 1  # for its newline

    async def retell(self) -> None:
        """Tell the source what an earlier process committed, and may have died over telling."""
        if self._acknowledge and self._since != Position() and (keys := await last_keys(self._kit)):
            await self._tell(keys)

    async def next_pack(self) -> bool:
        """Draft one batch and commit it; False when the source has nothing more.

        Whoever is broken off here, cancelled too, has items in hand that nobody commits: only a new reader, which begins at
        the committed place, may go on.
        """
        if self._broken:
            raise errors.Bug("a reader that was broken off was asked to go on: it would have passed over records")
        self._broken = True
        more = await self._next_pack()
        self._broken = False
        return more

    async def _next_pack(self) -> bool:
        tally = Tally()
        limits = await self._limits()
        async with Pack(self._kit) as pack:
            full = False
            while not full and await self._pages.ready():
                full = await self._fill(pack, tally, limits) or tally.read >= MOST_READ
            batch = await pack.seal() if pack.rows else None
        self.resting_until = self._kit.now() + self._pages.rest
        # A source that is told what is safe hears of its last records before its end is committed, or a process that
        # dies in between would leave nobody who ever tells it: after its end no source is read again.
        ended = self._pages.ended and not (self._acknowledge and tally.read)
        if ended:
            await self._tell([])
        if tally.read or ended:
            await self._commit(batch, tally, ended=ended)
        return not ended

    async def close(self) -> None:
        """Let the source go."""
        try:
            await self._pages.close()
        finally:
            await self._seen.close()

    def _params_limit(self) -> int:
        """Turn the limit on a body into one on parameters alone: frames around rows count too, exactly."""
        rules, limits = self._kit.parts.rules.batch, self._kit.provider.limits()
        rows = min(rules.max_requests, limits.requests)
        around = self._kit.provider.body_bytes(count=rows, params_bytes=0, token_length=TOKEN_LENGTH)
        return max(1, min(rules.max_bytes, limits.bytes) - around)

    async def _limits(self) -> PackLimits:
        uncertain = await self._kit.store.find(Batch, {"state": [*UNCERTAIN, "drafted"]})
        most = min(self._kit.parts.rules.batch.max_requests, self._kit.provider.limits().requests)
        rows = target_rows(most, self._kit.draw(), {batch.count for batch in uncertain})
        return PackLimits(rows=rows, params_bytes=self._params_limit())

    async def _fill(self, pack: Pack, tally: Tally, limits: PackLimits) -> bool:
        """Move some items of the page at hand into the pack; True when the pack is full."""
        items = self._pages.peek(min(STRIDE, limits.rows - pack.rows))
        room = limits.rows - pack.rows, limits.params_bytes - pack.params_bytes
        build = partial(self._build, items, *room, empty=not pack.rows)
        parts = self._kit.parts
        built = await parts.aside(
            (parts.builder,), f"on the records from {items[0].key!r} ({items[0].origin}) on", build
        )
        self._pages.take(len(built))
        params, rows = self._sort(items, built, tally)
        if params:
            await pack.add(params, rows)
        return len(built) < len(items) or pack.rows >= limits.rows

    def _build(self, items: Sequence[Item], rows_left: int, bytes_left: int, *, empty: bool) -> Sequence[Built]:
        """Build as many items as there is room for: at least one, where the pack is empty."""
        plain = self._plain(items)
        if self._fits(plain, rows_left, bytes_left):
            return plain  # nearly always
        out: list[Built] = []
        for item, ready in zip(items, plain or repeat(None), strict=False):
            built = ready if ready is not None and len(ready) <= self._record_bytes else self._build_one(item)
            if isinstance(built, (bytes, list)):
                rows_left -= 1 if isinstance(built, bytes) else len(built)
                bytes_left -= len(built) + 1 if isinstance(built, bytes) else sum(map(len, built)) + len(built)
                if (rows_left < 0 or bytes_left < 0) and not empty:
                    break
                empty = False
            out.append(built)
        return out

    def _fits(self, plain: Sequence[bytes | None], rows_left: int, bytes_left: int) -> TypeGuard[Sequence[bytes]]:
        """Tell whether everything is built and there is room for all of it."""
        if not plain or None in plain:
            return False
        sizes = [len(made) for made in plain if made is not None]
        return len(sizes) <= rows_left and sum(sizes) + len(sizes) <= bytes_left and max(sizes) <= self._record_bytes

    def _plain(self, items: Sequence[Item]) -> Sequence[bytes | None]:
        """Build what can be built many at a time; None, or nothing at all, where it goes one by one."""
        if self._make_page is None or set(map(type, items)) != {Record}:
            return ()
        records = cast("Sequence[Record]", items)
        doing = f"on the {len(items)} records from {records[0].key!r} ({records[0].origin}) on"
        with wall(self._kit.parts.builder, doing):
            made = self._make_page(records)
        if len(made) != len(items) or not {bytes, NoneType}.issuperset(map(type, made)):
            raise misgiven(self._kit.parts.builder, doing, made, "encoded JSON as bytes, or None, for each of them")
        return made

    def _build_one(self, item: Item) -> Built:
        if type(item) is Unreadable:
            return Reject(item.key, item.origin, Word.BUILD_ERROR, item.reason)
        assert type(item) is Record
        try:
            made = self._make(item)
        except BuildError as error:
            return Reject(item.key, item.origin, Word.BUILD_ERROR, str(error))
        except Exception as error:
            raise blame(self._kit.parts.builder, f"on record {item.key!r} ({item.origin})", error) from error
        if type(made) is bytes and len(made) <= self._record_bytes:
            return made  # nearly always
        built = requests_of(self._kit.parts.builder, item, made)
        if isinstance(built, Skip):
            return built
        for one in built:
            if len(one) > self._record_bytes:
                return Reject(
                    item.key,
                    item.origin,
                    Word.TOO_LARGE,
                    f"the request is {len(one):,} bytes; the most is {self._record_bytes:,}",
                )
        return built

    def _sort(self, items: Sequence[Item], built: Sequence[Built], tally: Tally) -> tuple[list[bytes], list[Row]]:
        """Part what was built into rows, duplicates, skipped and unbuildable records."""
        params: list[bytes] = []
        rows: list[Row] = []
        carry = self._kit.parts.rules.carry
        double = self._doubles(items[: len(built)])
        tally.read += len(built)
        if self._acknowledge:
            # Unbuildable and skipped records too: a queue must not hand them out for ever.
            tally.keys += [item.key for item in items[: len(built)] if item.key]
        if not carry and not any(double) and set(map(type, built)) == {bytes}:
            tally.built += len(built)  # nearly always, and then nothing need be looked at one by one
            return cast("list[bytes]", list(built)), [Row(item.key, item.origin) for item in items[: len(built)]]
        for item, made, again in zip(items, built, double, strict=False):
            if again:
                tally.duplicate += 1
                if len(tally.doubles) < EXAMPLES:
                    tally.doubles.append(f"{item.key} ({item.origin})")
            elif isinstance(made, (bytes, list)):
                assert type(item) is Record
                row = Row(item.key, item.origin, 1, {c: item.data.get(c) for c in carry} if carry else {})
                if isinstance(made, bytes):
                    params.append(made)
                    rows.append(row)
                else:
                    params += made
                    rows += [row] * len(made)
                tally.built += 1
            elif type(made) is Reject:
                tally.rejects.append(_carrying(made, item, carry))
            else:
                tally.skipped += 1
        return params, rows

    def _doubles(self, items: Sequence[Item]) -> Sequence[bool]:
        """Ask which items are passed over."""
        try:
            doubles = self._seen.add([item.key for item in items], self._place)
        except (UnicodeEncodeError, AttributeError):
            source = self._kit.parts.source
            for item in items:
                if not isinstance(item.key, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
                    raise misgiven(source, f"as the key of a record ({item.origin})", item.key, "a text") from None
            encode_rows([Row(item.key, item.origin) for item in items], source)  # names the culprit
            raise
        self._place += len(items)
        return doubles

    async def _commit(self, batch: Batch | None, tally: Tally, *, ended: bool) -> None:
        kit = self._kit
        books = {
            "read": tally.read,
            "skipped": tally.skipped,
            "duplicate": tally.duplicate,
            "unbuildable": len(tally.rejects),
            "built": tally.built,
        }
        steps: list[Step] = []
        if batch is not None:
            books |= {"rows": batch.count, "waiting": batch.count}
            steps += [
                Put(batch),
                kit.event("batch.drafted", batch.id, f"{batch.count} requests", {"count": batch.count}),
            ]
        if tally.rejects:
            steps += await reject(kit, tally.rejects)
        if tally.doubles:
            steps.append(kit.event("records.duplicate", text=", ".join(tally.doubles), data={"count": tally.duplicate}))
        position = self._pages.position
        await kit.step_run(Read(position, ended, self._since), Count(kit.run, books), *steps)
        self._since = position
        if batch is not None:
            await self._seen.checkpoint(batch.id)
        if tally.keys:
            await self._tell(tally.keys)

    async def _tell(self, keys: list[str]) -> None:
        if self._acknowledge:
            source, tell = self._kit.parts.source, partial(self._acknowledge, keys)
            within = self._kit.parts.rules.plugin_timeout
            await asked(source, "when it was told what is safe", tell, within=within, where=where_of(source))


def _carrying(reject: Reject, item: Item, carry: Sequence[str]) -> Reject:
    """Let a dead letter carry what the answer would have carried, as far as there is a record."""
    if not carry or isinstance(item, Unreadable):
        return reject
    return msgspec.structs.replace(reject, carried={column: item.data.get(column) for column in carry})
