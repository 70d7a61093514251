"""A job declared in code: the same parts as in a job file, as objects or plain functions."""

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from batchflow.model.record import Cursor, Idle, Page, Record, Skip
from batchflow.model.result import Bad, Result
from batchflow.model.rules import Rules
from batchflow.ports.builder import Builder, Params
from batchflow.ports.check import Check
from batchflow.ports.retry import Failure, RetryPolicy, Verdict
from batchflow.ports.sink import Part, Promise, Receipt, Sink, SinkContext
from batchflow.ports.source import Source
from batchflow.stages.kit import On, Outlet, Parts

Rows: TypeAlias = "Iterable[Mapping[str, Any]]"
PAGE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class To:
    """A sink, which rows it sees, and a name for it."""

    sink: "Sink | Callable[[Sequence[Result]], object]"
    on: On = "ok"
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to ask, about what, and where the answers go.

    `source` is a `Source`, or a function that gives the records afresh each time it is called (so that a crashed run can
    read on); `key` names the column that identifies a record there. `request` is a `Builder` or a function from a
    record's columns to API parameters. `sinks` are `Sink`s or functions that take a list of results.
    """

    name: str
    source: "Source | Callable[[], Rows]"
    request: "Builder | Callable[[dict[str, Any]], Params | Skip]"
    sinks: "Sequence[To | Sink | Callable[[Sequence[Result]], object]]"
    key: str = "id"
    checks: "Sequence[Check | Callable[[Result], Result | Bad]]" = ()
    retry: "RetryPolicy | Callable[[Failure], Verdict] | None" = None
    rules: Rules = field(default_factory=Rules)
    file: str = ""
    config: str = ""
    """What makes two declarations of a job the same; by default the rules and the parts' names."""

    def parts(self, retry: RetryPolicy) -> Parts:
        """Wrap functions into ports; `retry` is the policy where none is declared."""
        return Parts(
            name=self.name,
            source=self.source if isinstance(self.source, Source) else Rereading(self.source, self.key),
            builder=self.request if isinstance(self.request, Builder) else FunctionBuilder(self.request),
            outlets=_outlets(self.sinks),
            checks=[one if isinstance(one, Check) else FunctionCheck(one) for one in self.checks],
            retry=_retry(self.retry, retry),
            rules=self.rules,
        )

    def identity(self) -> str:
        """Hash what was declared, as far as it can be told from values."""
        rules = self.rules
        told = self.config or [self.name, self.key, rules.carry, rules.on_duplicate]
        return hashlib.blake2b(msgspec.json.encode(told, order="sorted"), digest_size=16).hexdigest()


def _retry(given: "RetryPolicy | Callable[[Failure], Verdict] | None", default: RetryPolicy) -> RetryPolicy:
    if given is None:
        return default
    return given if isinstance(given, RetryPolicy) else FunctionRetry(given)


def _outlets(sinks: "Sequence[To | Sink | Callable[[Sequence[Result]], object]]") -> list[Outlet]:
    outlets: list[Outlet] = []
    for number, one in enumerate(sinks):
        to = one if isinstance(one, To) else To(sink=one)
        name = to.name or f"sink{number or ''}"
        outlets.append(
            Outlet(name=name, sink=to.sink if isinstance(to.sink, Sink) else FunctionSink(to.sink), on=to.on)
        )
    return outlets


class Rereading:
    """A source from a function that gives the same rows whenever it is called."""

    def __init__(self, rows: "Callable[[], Rows]", key: str) -> None:
        self._rows = rows
        self._key = key

    async def read(self, after: Cursor | None) -> AsyncGenerator[Page | Idle]:
        """Pass over what was read before, then go on in pages."""
        at = int(after["at"]) if after else 0
        rows = islice(iter(self._rows()), at, None)
        while page := list(islice(rows, PAGE)):
            items = [Record(str(row[self._key]), dict(row), f"row {n}") for n, row in enumerate(page, at + 1)]
            at += len(page)
            yield Page(list(items), {"at": at})

    async def fingerprint(self) -> str | None:
        """Nobody can tell what a function will give."""
        return None


class FunctionBuilder:
    """A builder from a function of a record's columns."""

    def __init__(self, build: "Callable[[dict[str, Any]], Params | Skip]") -> None:
        self._build = build

    def build(self, record: Record) -> "Params | Skip":
        """Call it."""
        return self._build(dict(record.data))


class FunctionCheck:
    """A check from a function."""

    def __init__(self, check: "Callable[[Result], Result | Bad]") -> None:
        self._check = check

    def check(self, result: Result) -> Result | Bad:
        """Call it."""
        return self._check(result)


class FunctionRetry:
    """A policy from a function."""

    def __init__(self, decide: "Callable[[Failure], Verdict]") -> None:
        self._decide = decide

    def decide(self, failure: Failure) -> Verdict:
        """Call it."""
        return self._decide(failure)


class FunctionSink:
    """A sink from a function that takes lists of results. After a crash it may be given the same results again."""

    promise: Promise = "at_least_once"

    def __init__(self, write: "Callable[[Sequence[Result]], object]") -> None:
        self._write = write

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Nothing to make ready."""

    async def write(self, part: Part) -> Receipt:
        """Hand the results over, a chunk at a time; a coroutine is awaited."""
        rows = 0
        async for results in part.rows:
            given = self._write(results)
            if hasattr(given, "__await__"):
                await given  # pyright: ignore[reportGeneralTypeIssues] - it has __await__
            rows += len(results)
        return {"part": part.name, "rows": rows}

    async def close(self) -> None:
        """Nothing to let go."""
