"""Sinks beside each other, and notifiers: their names."""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from batchflow.config.job import Component, Heed, Outlet
from batchflow.model.problem import Problem


def named(outlets: Sequence[Outlet]) -> tuple[list[Outlet], list[Problem]]:
    """Give every sink a name: its own, or its type, counted where a type comes again. A name may be taken once."""
    names = _names([(outlet.name, outlet.sink) for outlet in outlets])
    made = [msgspec.structs.replace(outlet, name=name) for outlet, name in zip(outlets, names, strict=True)]
    return made, list(_twice("sinks", [(outlet.name, outlet.sink) for outlet in made]))


def called(heeds: Sequence[Heed]) -> tuple[list[Heed], list[Problem]]:
    """Give every notifier a name, likewise."""
    names = _names([(heed.name, heed.notifier) for heed in heeds])
    made = [msgspec.structs.replace(heed, name=name) for heed, name in zip(heeds, names, strict=True)]
    return made, list(_twice("notifiers", [(heed.name, heed.notifier) for heed in made]))


def _names(parts: Sequence[tuple[str, Component]]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for name, part in parts:
        seen[part.type] += 1
        number = seen[part.type]
        yield name or (f"{part.type}-{number}" if number > 1 else part.type)


def _twice(what: str, parts: Sequence[tuple[str, Component]]) -> Iterator[Problem]:
    taken: set[str] = set()
    for name, part in parts:
        if name in taken:
            yield Problem(f"two {what} are called `{name}`", (*part.path, "name"), "give each its own `name`")
        taken.add(name)
