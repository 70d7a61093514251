"""What is wrong with a job declared in code, as far as it shows before anything is read or sent."""

import reprlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from inspect import isasyncgenfunction, isclass, iscoroutinefunction, isgeneratorfunction
from typing import Any, Literal, TypeAlias, cast

import msgspec

from batchflow.model.errors import ConfigError
from batchflow.stages.wall import named

Place: TypeAlias = Literal["source", "request", "checks", "retry", "sinks"]


ONCE = (Iterator, AsyncIterator)
UNORDERED = (str, bytes, Mapping, AbstractSet)
"""What can be iterated over and still is no list of records: a set's order is another in the next process."""


class Port(msgspec.Struct, frozen=True):
    """What may stand in a place of a job."""

    kind: str
    methods: tuple[str, ...]
    example: str
    awaited: bool = False


PORTS: Mapping[Place, Port] = {
    "source": Port("Source", ("read", "fingerprint"), "a function that gives the records, or a list of them", True),
    "request": Port("Builder", ("build",), "a function from a record's columns to API parameters"),
    "checks": Port("Check", ("check",), "a function from a result to that result, or to a `Bad`"),
    "retry": Port(
        "RetryPolicy", ("decide",), "a function from a `Failure` to a `Retry`, `GiveUp`, `Accept` or `Pause`"
    ),
    "sinks": Port(
        "Sink",
        ("promise", "open", "write", "close"),
        'a function that takes a list of results, or a sink such as `Plugins().sink("jsonl")(path=Path("out.jsonl"))`',
        True,
    ),
}


def refuse_source(job: str, source: Any) -> None:
    """A source must be readable again after a crash."""
    known = not _lacks("source", source)
    if not known and isinstance(source, ONCE):
        raise _refusal(
            job,
            f"`source` is {_shown(source)}, which can be read only once: a run that crashed could not read on",
            "pass the function that makes it, without calling it: `source=records`, not `source=records()`",
        )
    listed = isinstance(source, Iterable) and not isinstance(source, UNORDERED)
    if known or not listed:
        refuse_part(job, "source", source)


def refuse_parts(job: str, place: Literal["checks", "sinks"], parts: Any) -> None:
    """They come as a list, and a job has at least one sink."""
    port = PORTS[place]
    if not _is_list(parts):
        what = f"`{place}` is {_shown(parts)}, not a list"
        raise _refusal(job, what, f"write `{place}=[...]`; each of them is {port.example}")
    if place == "sinks" and not parts:
        raise ConfigError(f"job `{job}` has no `sinks`", hint=f"write one: `sinks=[...]`, {port.example}")
    if place == "checks":
        for number, part in enumerate(parts):
            refuse_part(job, place, part, number)


def refuse_part(job: str, place: Place, part: Any, number: int | None = None) -> None:
    """A part is a port's object or a function, and is called in the way it was written for."""
    port, at = PORTS[place], f"`{place}`" if number is None else f"`{place}[{number}]`"
    lacks = _lacks(place, part)
    if not lacks and isclass(part):
        raise _refusal(job, f"{at} is the class {named(part)}", f"pass an object: `{part.__name__}(...)`")
    if lacks and not callable(part):
        missing = f" (it has no `{'`, no `'.join(lacks)}`)" if len(lacks) < len(port.methods) else ""
        what = f"{at} is {_shown(part)}, which is neither a function nor a `{port.kind}`{missing}"
        raise _refusal(job, what, f"pass {port.example}")
    _refuse_manner(job, at, place, part, lacks)


def _refuse_manner(job: str, at: str, place: Place, part: Any, lacks: Sequence[str]) -> None:
    """An `async def` that nobody awaits, and a generator that nobody iterates over, would do nothing at all."""
    port = PORTS[place]
    if port.awaited and not lacks:
        return  # the methods of a source or a sink are awaited
    method = "" if lacks else f".{port.methods[0]}"
    called = part if lacks else getattr(part, port.methods[0])
    if place != "source" and _is(called, isgeneratorfunction, isasyncgenfunction):
        what = f"{at}, {named(part)}{method}, is a generator function: called, it does nothing until somebody iterates over it"
        raise _refusal(job, what, "do its work without `yield`")
    if not port.awaited and _is(called, iscoroutinefunction):
        what = f"{at}, {named(part)}{method}, is an async function: it is called for every record and not awaited"
        raise _refusal(job, what, "make it a plain `def`; what must be awaited belongs into the source or a sink")


def refuse_duplicates(job: str, names: Sequence[str]) -> None:
    """Two sinks of one name would be taken for one."""
    for name, times in Counter(names).items():
        if times > 1:
            raise _refusal(job, f"two sinks are called `{name}`", "give each its own: `To(sink=..., name=...)`")


def _is_list(parts: Any) -> bool:
    return isinstance(parts, Sequence) and not isinstance(parts, (str, bytes))


def _is(function: Any, *kinds: Any) -> bool:
    """Look through objects that are called like functions."""
    inner: Any = getattr(cast("Any", type(function)), "__call__", None)  # noqa: B004 - not whether, but how it is called
    return any(kind(function) or kind(inner) for kind in kinds)


def _lacks(place: Place, part: Any) -> tuple[str, ...]:
    return tuple(name for name in PORTS[place].methods if not hasattr(part, name))


def _shown(thing: Any) -> str:
    if isinstance(thing, (str, bytes, int, float)) or thing is None:
        return reprlib.repr(thing)
    kind = cast("Any", type(thing))
    return named(thing) if callable(thing) else f"an object of type {named(kind)}"


def _refusal(job: str, what: str, hint: str) -> ConfigError:
    return ConfigError(f"job `{job}`: {what}", hint=hint)
