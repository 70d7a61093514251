"""Which records are passed over because their key comes more than once: the three rules of `on_duplicate`.

The files behind them are scratch: whatever a crash leaves is brought up to date from the committed batches, or made anew.
"""

from collections.abc import Sequence
from pathlib import Path

from anyio.to_thread import run_sync

from batchflow.engine.seen import Census, SeenKeys, Superseded
from batchflow.model import errors
from batchflow.model.record import Idle
from batchflow.model.state import Batch, Run
from batchflow.ports.source import OneShot, Source
from batchflow.stages.context import read_context
from batchflow.stages.draft import Seen
from batchflow.stages.kit import Kit


class FirstWins:
    """`on_duplicate: first`: a key that came before is passed over."""

    def __init__(self, keys: SeenKeys) -> None:
        self._keys = keys

    def add(self, keys: Sequence[str], _first: int, /) -> Sequence[bool]:
        """Ask about every key, and remember it; a place without a key is nobody's double."""
        if "" not in keys:
            return self._keys.add_page(keys)
        known = iter(self._keys.add_page([key for key in keys if key]))
        return [bool(key) and next(known) for key in keys]

    async def checkpoint(self, label: str) -> None:
        """Keep what was added; merging files can take a moment."""
        await run_sync(self._keys.checkpoint, label)

    async def close(self) -> None:
        """Let go of the files."""
        self._keys.close()


class LastWins:
    """`on_duplicate: last`: a record that a later one replaces is passed over. Needs a first pass over all keys."""

    def __init__(self, replaced: Superseded) -> None:
        self._replaced = replaced

    def add(self, keys: Sequence[str], first: int, /) -> Sequence[bool]:
        """Look the places up."""
        return self._replaced.page(first, len(keys))

    async def checkpoint(self, label: str) -> None:
        """Keep nothing: the first pass is made again after a restart."""

    async def close(self) -> None:
        """Let go of the file."""
        self._replaced.close()


class NoDoubles:
    """`on_duplicate: error`, after a first pass has found none."""

    def add(self, keys: Sequence[str], _first: int, /) -> Sequence[bool]:
        """Find nothing."""
        return [False] * len(keys)

    async def checkpoint(self, label: str) -> None:
        """Keep nothing."""

    async def close(self) -> None:
        """Have nothing to let go."""


async def open_seen(kit: Kit, run: Run, folder: Path) -> Seen:
    """Make ready to tell duplicates, by the job's rule."""
    rule = kit.parts.rules.on_duplicate
    if rule == "first":
        return await _first(kit, run, folder)
    census = await _count_keys(kit.parts.source, folder, rule)
    if rule == "last":
        return LastWins(await run_sync(census.superseded))
    repeat = await run_sync(census.first_repeat)
    if repeat is None:
        return NoDoubles()
    key, first, second = await _places(kit.parts.source, repeat.first, repeat.item)
    raise errors.SourceError(
        f"the key {key!r} comes twice: at {first} and again at {second}. Nothing was sent",
        hint="mend the source, or say which one counts with `on_duplicate: first` or `on_duplicate: last`",
    )


async def _first(kit: Kit, run: Run, folder: Path) -> FirstWins:
    """Open the keys seen so far, and add those of batches that were committed after the last checkpoint."""
    keys = await run_sync(SeenKeys, folder)
    after = keys.label or ""
    while batches := await kit.store.find(Batch, {"run": run.id, "retry": False}, after=after, limit=100):
        for batch in batches:
            if batch.context is None:
                continue
            async for rows in read_context(kit.blobs, batch.context):
                keys.add_page([row.key for row in rows if row.key])
        after = batches[-1].id
        await run_sync(keys.checkpoint, after)
    return FirstWins(keys)


async def _count_keys(source: Source, folder: Path, rule: str) -> Census:
    """Go once over the whole source, looking at keys only."""
    if isinstance(source, OneShot) and source.one_shot:
        raise errors.SourceError(
            f"`on_duplicate: {rule}` needs a first pass over all keys, and this source can be read only once",
            hint="use `on_duplicate: first`",
        )
    census = await run_sync(Census, folder)
    async for page in source.read(None):
        if not isinstance(page, Idle):
            await run_sync(census.add_page, [item.key or None for item in page.items])
    return census


async def _places(source: Source, first: int, second: int) -> tuple[str, str, str]:
    """Find where two items stand."""
    at, found = 0, dict[int, tuple[str, str]]()
    async for page in source.read(None):
        if isinstance(page, Idle):
            continue
        for number in {first, second} & set(range(at, at + len(page.items))):
            item = page.items[number - at]
            found[number] = (item.key, item.origin)
        at += len(page.items)
    return found[first][0], found[first][1], found[second][1]
