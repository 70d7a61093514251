"""Sinks that would write over what their job reads, over each other, or over what batchflow needs: found before any is opened.

A source of files says what it covers, a sink of files what it targets; who says neither is let pass.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
from anyio.to_thread import run_sync

from batchflow.model.errors import SourceError
from batchflow.model.target import Target, is_same
from batchflow.ports.sink import Placed
from batchflow.ports.source import Covering
from batchflow.stages.wall import misgiven, wall

OWN = ("state.db", "state.db-wal", "state.db-shm", "state.db-journal", "stores.json", "objects", "seen", "spool")
"""What lies in a state folder."""
KEPT = "what batchflow itself keeps"
ELSEWHERE = "choose another path"
NARROWER = (
    "write to another folder, or narrow the pattern of the source: a run would read its own results as new records, "
    "and pay for them"
)
Covers = Callable[[Target], bool]


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
    sinks: Sequence[Written], covers: Covers | None, needed: Sequence[Needed]
) -> Sequence[Overlap | None]:
    """Say of each sink what it would write over, if anything. Many files may be looked at, so it is done in a thread."""
    return await run_sync(lambda: [_overlap(sinks, number, covers, needed) for number in range(len(sinks))])


def targets_of(sink: object) -> Sequence[Target] | None:
    """Ask a sink what it will write; None where it does not say."""
    inner = getattr(sink, "__wrapped__", sink)
    if not isinstance(inner, Placed):
        return None
    doing = "when it was asked what it writes"
    with wall(inner, doing):
        given: Any = inner.targets()
    if not (isinstance(given, list | tuple) and all(isinstance(one, Target) for one in cast("list[Any]", given))):
        raise misgiven(inner, doing, cast("object", given), "a list of `Target`s")
    return cast("Sequence[Target]", given)


def covers_of(source: object) -> Covers | None:
    """Find what says of a source whether it would read a file; None where it does not say."""
    inner = getattr(source, "__wrapped__", source)
    return partial(_covers, inner) if isinstance(inner, Covering) else None


def needed_in(state: Path, base: Path) -> Sequence[Needed]:
    """Name what is needed of a state folder: all of it, unless it is the folder of the job as well."""
    is_shared = base.absolute().is_relative_to(state.absolute())
    paths = [state / name for name in OWN] if is_shared else [state]
    return [Needed(path, KEPT) for path in paths]


def _covers(source: Covering, target: Target) -> bool:
    with wall(source, "when it was asked whether it would read what a sink writes"):
        try:
            return source.covers(target)
        except (OSError, SourceError):
            return False  # reading is where that is told


def _overlap(sinks: Sequence[Written], number: int, covers: Covers | None, needed: Sequence[Needed]) -> Overlap | None:
    sink = sinks[number]
    return next(
        (found for target in sink.targets for found in _found(sink, target, sinks[:number], covers, needed)), None
    )


def _found(
    sink: Written, target: Target, before: Sequence[Written], covers: Covers | None, needed: Sequence[Needed]
) -> Iterator[Overlap]:
    for other in before:
        if any(_is_one(target, taken) for taken in other.targets):
            yield Overlap(f"sinks `{other.name}` and `{sink.name}` write to one file: {target.place}", ELSEWHERE)
    if covers is not None and covers(target):
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
