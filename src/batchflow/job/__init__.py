"""A job declared in code: the same parts as in a job file, as objects or plain functions."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from batchflow.job.functions import (
    Build,
    Decide,
    Examine,
    FunctionBuilder,
    FunctionCheck,
    FunctionRetry,
    FunctionSink,
    Read,
    Rereading,
    Write,
)
from batchflow.job.refusal import refuse_duplicates, refuse_part, refuse_parts, refuse_source
from batchflow.model.rules import Rules
from batchflow.ports.builder import Builder
from batchflow.ports.check import Check
from batchflow.ports.retry import RetryPolicy
from batchflow.ports.sink import PlainSink, Sink
from batchflow.ports.source import PlainSource, Source
from batchflow.stages.kit import Listener, On, Outlet, Parts
from batchflow.stages.plain import awaited_sink, awaited_source


@dataclass(frozen=True, kw_only=True, slots=True)
class To:
    """A sink, which rows it sees, and a name for it."""

    sink: Sink | PlainSink | Write
    on: On = "ok"
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to ask, about what, and where the answers go.

    `source` is a `Source`, a list of records, or a function that gives the records afresh each time it is called (so that a
    crashed run can read on); `key` names the column that identifies a record there. `request` is a `Builder` or a function
    from a record's columns to API parameters. `sinks` are `Sink`s or functions that take a list of results.

    What can be known to be wrong is refused here (`ConfigError`), before anything is sent.
    """

    name: str
    source: Source | PlainSource | Read | Sequence[Mapping[str, Any]]
    request: Builder | Build
    sinks: Sequence[To | Sink | PlainSink | Write]
    key: str = "id"
    checks: Sequence[Check | Examine] = ()
    retry: RetryPolicy | Decide | None = None
    notify: Sequence[Listener] = ()
    rules: Rules = field(default_factory=Rules)
    file: str = ""
    config: str = ""
    """What makes two declarations of a job the same; by default the rules and the parts' names."""

    def __post_init__(self) -> None:
        """Refuse what would fail, or be lost without a word, once money is spent."""
        refuse_source(self.name, self.source)
        refuse_part(self.name, "request", self.request)
        refuse_parts(self.name, "checks", self.checks)
        if self.retry is not None:
            refuse_part(self.name, "retry", self.retry)
        refuse_parts(self.name, "sinks", self.sinks)
        outlets = _tos(self.sinks)
        for number, to in enumerate(outlets):
            refuse_part(self.name, "sinks", to.sink, number)
        refuse_duplicates(self.name, [to.name for to in outlets])

    def parts(self, retry: RetryPolicy) -> Parts:
        """Wrap functions into ports; `retry` is the policy where none is declared."""
        return Parts(
            name=self.name,
            source=_source(self.source, self.key, self.rules.carry),
            builder=self.request if isinstance(self.request, Builder) else FunctionBuilder(self.request),
            outlets=[_outlet(to) for to in _tos(self.sinks)],
            checks=[one if isinstance(one, Check) else FunctionCheck(one) for one in self.checks],
            retry=_retry(self.retry, retry),
            rules=self.rules,
            listeners=self.notify,
        )

    def identity(self) -> str:
        """Hash what was declared, as far as it can be told from values."""
        rules = self.rules
        return hashed(self.config or [self.name, self.key, rules.carry, rules.on_duplicate])


def hashed(told: object) -> str:
    """Make the hash by which a run knows its job, of what a job file hashes to or what was declared in code."""
    return hashlib.blake2b(msgspec.json.encode(told, order="sorted"), digest_size=16).hexdigest()


def _retry(given: RetryPolicy | Decide | None, default: RetryPolicy) -> RetryPolicy:
    if given is None:
        return default
    return given if isinstance(given, RetryPolicy) else FunctionRetry(given)


def _tos(sinks: Sequence[To | Sink | PlainSink | Write]) -> list[To]:
    """Give every sink a name."""
    tos = [one if isinstance(one, To) else To(sink=one) for one in sinks]
    return [replace(to, name=to.name or f"sink{number or ''}") for number, to in enumerate(tos)]


def _source(given: Any, key: str, carry: Sequence[str]) -> Source:
    """Tell by its methods whether it is a source, or records."""
    return awaited_source(given) if isinstance(given, Source) else Rereading(given, key, carry)


def _outlet(to: To) -> Outlet:
    sink: Any = to.sink
    return Outlet(name=to.name, sink=awaited_sink(sink) if isinstance(sink, Sink) else FunctionSink(sink), on=to.on)
