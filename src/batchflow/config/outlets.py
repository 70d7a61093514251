"""Sinks beside each other: their names, and that no two of them write the same thing."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from batchflow.config.job import Component, Outlet
from batchflow.model.problem import Problem


def named(outlets: Sequence[Outlet]) -> tuple[list[Outlet], list[Problem]]:
    """Give every sink a name: its own, or its type, counted where a type comes again. A name may be taken once."""
    seen: Counter[str] = Counter()
    made: list[Outlet] = []
    for outlet in outlets:
        seen[outlet.sink.type] += 1
        number = seen[outlet.sink.type]
        name = outlet.name or (f"{outlet.sink.type}-{number}" if number > 1 else outlet.sink.type)
        made.append(msgspec.structs.replace(outlet, name=name))
    return made, list(_twice(made))


def _twice(outlets: Sequence[Outlet]) -> Iterator[Problem]:
    taken: set[str] = set()
    for outlet in outlets:
        if outlet.name in taken:
            yield Problem(
                f"two sinks are called `{outlet.name}`", (*outlet.sink.path, "name"), "give each its own `name`"
            )
        taken.add(outlet.name)


def clashes(outlets: Sequence[Outlet], source: Component | None) -> Iterator[Problem]:
    """Find sinks that would write over each other, or over what the job reads. Tables may be shared, files may not."""
    taken: dict[Path, str] = {}
    read = _file(source) if source else None
    for outlet in outlets:
        path = _file(outlet.sink)
        here = (*outlet.sink.path, "path")
        if path is None:
            continue
        if path in taken:
            yield Problem(f"sinks `{taken[path]}` and `{outlet.name}` write to one file: {path}", here)
        if path == read:
            yield Problem(f"sink `{outlet.name}` would write over what the job reads: {path}", here)
        taken[path] = outlet.name


def _file(part: Component) -> Path | None:
    path = part.kwargs.get("path")
    return Path(os.path.realpath(path)) if isinstance(path, Path) and "table" not in part.kwargs else None
