"""Sinks that would write over what their job reads, over each other, or over what batchflow needs: found before any is opened.

A source of files says what it covers, a sink of files what it targets; who says neither is let pass.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
from anyio.to_thread import run_sync

from batchflow.model.errors import SourceError
from batchflow.model.target import Target, is_same
from batchflow.ports.sink import Placed
from batchflow.ports.source import Covering
from batchflow.stages.asked import asked
from batchflow.stages.lane import Lane
from batchflow.stages.wall import is_foreign, misgiven, wall

OWN = ("state.db", "state.db-wal", "state.db-shm", "state.db-journal", "stores.json", "objects", "seen", "spool")
"""What lies in a state folder."""
KEPT = "what batchflow itself keeps"
ELSEWHERE = "choose another path"
NARROWER = (
    "write to another folder, or narrow the pattern of the source: a run would read its own results as new records, "
    "and pay for them"
)


class Needed(msgspec.Struct, frozen=True):
    """A file or a folder that no sink may write, and what it is to people."""

    path: Path
    what: str


class Written(msgspec.Struct, frozen=True):
    """A sink, and what it writes."""

    name: str
    targets: Sequence[Target]


class Overlap(msgspec.Struct, frozen=True):
    """What is wrong with a sink: the first thing that it would write over."""

    message: str
    hint: str


async def overlaps(
    sinks: Sequence[Written], covered: Collection[Target], needed: Sequence[Needed]
) -> Sequence[Overlap | None]:
    """Say of each sink what it would write over, if anything. Many files may be looked at, so it is done in a thread."""
    return await run_sync(lambda: [_overlap(sinks, number, covered, needed) for number in range(len(sinks))])


async def targets_of(sink: object, *, within: float) -> Sequence[Target] | None:
    """Ask a sink what it will write; None where it does not say."""
    inner = getattr(sink, "__wrapped__", sink)
    if not isinstance(inner, Placed):
        return None
    doing, lane = "when it was asked what it writes", Lane()
    if is_foreign(inner):
        given: Any = await asked(inner, doing, partial(lane.run, inner.targets), within=within, where=lane.where)
    else:
        with wall(inner, doing):
            given = inner.targets()
    if not (isinstance(given, list | tuple) and all(isinstance(one, Target) for one in cast("list[Any]", given))):
        raise misgiven(inner, doing, cast("object", given), "a list of `Target`s")
    return cast("Sequence[Target]", given)


async def covered_by(source: object, targets: Sequence[Target], *, within: float) -> Collection[Target] | None:
    """Ask a source which of these it would read; None where it does not say. Many files may be looked at."""
    inner = getattr(source, "__wrapped__", source)
    if not isinstance(inner, Covering):
        return None
    doing, lane = "when it was asked whether it would read what a sink writes", Lane()
    look = partial(_covered, inner, targets)
    return await asked(inner, doing, partial(lane.run, look), within=within, where=lane.where)


def needed_in(state: Path, base: Path) -> Sequence[Needed]:
    """Name what is needed of a state folder: all of it, unless it is the folder of the job as well."""
    is_shared = base.absolute().is_relative_to(state.absolute())
    paths = [state / name for name in OWN] if is_shared else [state]
    return [Needed(path, KEPT) for path in paths]


def _covered(source: Covering, targets: Sequence[Target]) -> Collection[Target]:
    covered: list[Target] = []
    for target in targets:
        with suppress(OSError, SourceError):  # reading is where that is told
            covered += [target] if source.covers(target) else []
    return covered


def _overlap(
    sinks: Sequence[Written], number: int, covered: Collection[Target], needed: Sequence[Needed]
) -> Overlap | None:
    sink = sinks[number]
    return next(
        (found for target in sink.targets for found in _found(sink, target, sinks[:number], covered, needed)), None
    )


def _found(
    sink: Written, target: Target, before: Sequence[Written], covered: Collection[Target], needed: Sequence[Needed]
) -> Iterator[Overlap]:
    for other in before:
        if any(_is_one(target, taken) for taken in other.targets):
            yield Overlap(f"sinks `{other.name}` and `{sink.name}` write to one file: {target.place}", ELSEWHERE)
    if target in covered:
        yield Overlap(f"sink `{sink.name}` would write over what the job reads: {target.place}", NARROWER)
    for need in needed:
        if target.lies_in(need.path):
            yield Overlap(f"sink `{sink.name}` would write over {need.what}: {target.place}", ELSEWHERE)


def _is_one(one: Target, other: Target) -> bool:
    if one.shared and other.shared:
        return False
    if one.is_local and other.is_local:
        return is_same(one.place, other.place)
    return (one.place, one.server) == (other.place, other.server)
