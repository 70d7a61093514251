"""The fault plan: which call of which endpoint goes wrong, how, and which rows fail.

A plan is a plain immutable value; it comes from YAML, JSON, command-line flags or Python. `Faults` is the running
side: it counts calls and says which rules hit the call at hand. The words of a plan are in vocabulary.py.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from batchflow.sim.draw import digest
from batchflow.sim.vocabulary import CHOOSING, FAULTS, Endpoint, FaultName, RowWord


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that goes wrong at some calls of an endpoint; without nth, every or since it is each call.

    `nth`: these calls (1 is the first since the plan was set); `every`: each k-th; `since`: from this call on;
    `count`: at most so many times. The other fields belong to single faults; vocabulary.FAULTS says which.
    """

    on: Endpoint | list[Endpoint]
    fault: FaultName
    nth: int | list[int] | None = None
    every: int | None = None
    since: int | None = None
    count: int | None = None

    status: int | None = None
    type: str | None = None
    message: str | None = None
    error_code: str | None = None
    retry_after: float | str | None = None
    should_retry: bool | None = None
    body: Literal["json", "html", "text", "empty"] = "json"
    seconds: float | None = None
    at_byte: int | None = None
    when: Literal["before", "after"] = "after"
    framing: Literal["length", "chunked", "close"] = "chunked"
    value: str | None = None
    rows: int | None = None
    limit: int | None = None
    megabytes: float = 50.0
    pid: int | None = None

    def __post_init__(self) -> None:
        """Refuses a fault that would do nothing at these endpoints, and fields that it does not take."""
        fault = FAULTS[self.fault]
        for endpoint in self.endpoints:
            if not fault.fits(endpoint):
                raise ValueError(f"{self.fault} does nothing at {endpoint}; it belongs to: {fault.on}")
        takes = CHOOSING.union(fault.takes.split())
        for field in msgspec.structs.fields(self):
            if field.name not in takes and getattr(self, field.name) != field.default:
                raise ValueError(f"{self.fault} takes no {field.name}; it takes: {fault.takes or 'nothing'}")

    @property
    def endpoints(self) -> list[Endpoint]:
        """The endpoints the rule speaks of."""
        return self.on if isinstance(self.on, list) else [self.on]

    def covers(self, endpoint: str) -> bool:
        """Whether the rule speaks of this endpoint."""
        return endpoint in self.endpoints or "all" in self.endpoints

    def hits(self, call: int, done: int) -> bool:
        """Whether the rule applies to the n-th call, having applied `done` times before."""
        if self.count is not None and done >= self.count:
            return False
        if self.nth is not None:
            return call in self.nth if isinstance(self.nth, list) else call == self.nth
        if self.since is not None and call < self.since:
            return False
        return self.every is None or call % self.every == 0


class RowRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rows that fail: those whose user text contains `match`, or a seeded `rate` of all rows.

    Every request has `times` bad attempts and is then served well; attempts are counted per first user message, so a
    retry with more room or with more turns is still an attempt at the same request. `times: null` never gets well.
    """

    word: RowWord
    match: str | None = None
    rate: float = 1.0
    times: int | None = 1


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that goes wrong: `rules` hit calls, `rows` hit rows, `clock_offset` puts the server's clock wrong."""

    rules: list[Rule] = []
    rows: list[RowRule] = []
    clock_offset: float = 0.0

    @classmethod
    def load(cls, path: str | Path) -> "FaultPlan":
        """Reads a YAML or JSON file; a ValueError says what is wrong with it, and where."""
        try:
            plan = yaml.load(Path(path).read_text(encoding="utf-8"), _Yaml)  # noqa: S506 - _Yaml is a safe loader
            return cls.of(plan or {})
        except (yaml.YAMLError, ValueError) as problem:  # msgspec.ValidationError is a ValueError
            raise ValueError(f"{path}: {problem}") from None

    @classmethod
    def of(cls, value: Any) -> "FaultPlan":
        """Takes a plan from plain data: {"rules": [...], "rows": [...], "clock_offset": 0}."""
        return msgspec.convert(value, cls)

    @classmethod
    def parse(cls, flags: Sequence[str]) -> "FaultPlan":
        """Reads command-line flags.

        `create:1:reset_after`, `retrieve:every3:status,status=529,retry_after=2`, `results:2+:gzip`,
        `list:1+4:omit`, `all::omit_nulls` for calls; `row:water:overloaded,times=2`, `row:5%:refusal` for rows;
        `clock:3600` for the server's clock.
        """
        plan = cls()
        for flag in flags:
            plan = _with_flag(plan, flag)
        return plan

    def plus(self, other: "FaultPlan") -> "FaultPlan":
        """Both plans together."""
        return FaultPlan(
            rules=[*self.rules, *other.rules],
            rows=[*self.rows, *other.rows],
            clock_offset=self.clock_offset + other.clock_offset,
        )


class _Yaml(yaml.SafeLoader):
    """YAML with 1.2's booleans: in 1.1 the key `on` would mean true."""


_BOOLEAN = ("tag:yaml.org,2002:bool", re.compile(r"true|false"))
_Yaml.yaml_implicit_resolvers = {
    first: [pair for pair in resolvers if pair[0] != _BOOLEAN[0]] + ([_BOOLEAN] if first in {"t", "f"} else [])
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _with_flag(plan: FaultPlan, flag: str) -> FaultPlan:
    head, _, rest = flag.partition(":")
    try:
        if head == "clock":
            return plan.plus(FaultPlan(clock_offset=float(rest)))
        if head == "row":
            return plan.plus(FaultPlan(rows=[_row_flag(rest)]))
        return plan.plus(FaultPlan(rules=[_call_flag(head, rest)]))
    except ValueError as problem:  # msgspec.ValidationError is one
        raise ValueError(f"fault {flag!r}: {problem}") from None


def _call_flag(on: str, rest: str) -> Rule:
    which, colon, fault = rest.partition(":")
    if not colon:
        raise ValueError("expected ENDPOINT:WHICH:FAULT[,key=value...], for example create:1:reset_after")
    name, options = _options(fault)
    return msgspec.convert({"on": on.split("+"), "fault": name, **_calls(which), **options}, Rule, strict=False)


def _calls(which: str) -> dict[str, Any]:
    if not which:
        return {}
    if which.startswith("every"):
        return {"every": int(which.removeprefix("every"))}
    if which.endswith("+"):
        return {"since": int(which[:-1])}
    return {"nth": [int(call) for call in which.split("+")]}


def _row_flag(rest: str) -> RowRule:
    match, colon, fault = rest.rpartition(":")
    if not colon:
        raise ValueError("expected row:TEXT:WORD[,times=N] or row:5%:WORD")
    word, options = _options(fault)
    chosen = {"rate": float(match[:-1]) / 100} if match.endswith("%") else {"match": match or None}
    return msgspec.convert({"word": word, **chosen, **options}, RowRule, strict=False)


def _options(text: str) -> tuple[str, dict[str, Any]]:
    name, *pairs = text.split(",")
    return name, dict(_pair(pair) for pair in pairs)


def _pair(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"expected key=value, not {text!r}")
    return key, None if value == "null" else value


class Hits:
    """The rules that hit one call."""

    __slots__ = ("_rules",)

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = rules

    def get(self, *names: FaultName) -> Rule | None:
        """The first rule with one of these faults."""
        return next((rule for rule in self._rules if rule.fault in names), None)

    def __contains__(self, name: FaultName) -> bool:
        return any(rule.fault == name for rule in self._rules)

    def names(self) -> list[str]:
        """The faults, for the statistics."""
        return [rule.fault for rule in self._rules]


class Faults:
    """The plan in action: counts calls per rule and bad attempts per request."""

    def __init__(self, plan: FaultPlan, seed: int, *, attempts: dict[tuple[int, int], int] | None = None) -> None:
        self.plan = plan
        self._seed = seed
        self._seen = [0] * len(plan.rules)
        self._done = [0] * len(plan.rules)
        self._attempts = {} if attempts is None else attempts

    def replaced(self, plan: FaultPlan) -> "Faults":
        """Takes up another plan. Where the same rows are to fail, one that has failed as often as it was to stays well."""
        return Faults(plan, self._seed, attempts=self._attempts if plan.rows == self.plan.rows else None)

    def begin(self, endpoint: str) -> Hits:
        """Counts a call and says what goes wrong with it."""
        hits: list[Rule] = []
        for index, rule in enumerate(self.plan.rules):
            if not rule.covers(endpoint):
                continue
            self._seen[index] += 1
            if rule.hits(self._seen[index], self._done[index]):
                self._done[index] += 1
                hits.append(rule)
        return Hits(hits)

    def row_word(self, first_text: str, last_text: str) -> RowWord | None:
        """What goes wrong with this attempt at a request; counts the attempt."""
        for index, rule in enumerate(self.plan.rows):
            if not self._selects(index, rule, first_text, last_text):
                continue
            if rule.times is None:
                return rule.word
            key = (index, digest(first_text))
            done = self._attempts.get(key, 0)
            if done < rule.times:
                self._attempts[key] = done + 1
                return rule.word
        return None

    def _selects(self, index: int, rule: RowRule, first_text: str, last_text: str) -> bool:
        if rule.match is not None and rule.match not in last_text and rule.match not in first_text:
            return False
        return rule.rate >= 1 or (digest(self._seed, "rate", index, first_text) >> 11) / (1 << 53) < rule.rate
