"""One job of a file, part by part."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from batchflow.config import sections
from batchflow.config.components import Options, Reader
from batchflow.config.faults import Page
from batchflow.config.identity import identity
from batchflow.config.job import Component, Draft, Heed, JobSpec, Outlet
from batchflow.config.outlets import called, named
from batchflow.extend.kinds import Kind
from batchflow.model.money import DOLLAR
from batchflow.model.problem import Problem
from batchflow.model.rules import BatchRules, RetryRules, Rules, SubmitRules

PARTS = ("source", "request", "checks", "batch", "submit", "retry", "budget", "sinks", "notify", "provider")
KEYS = (*PARTS, "on_duplicate", "repeat", "plugin_timeout")
EXAMPLES: Mapping[str, str] = {
    "source": "write one: `source: {type: jsonl, path: in.jsonl, key: id}`",
    "request": "write one: `request: {model: claude-haiku-4-5, max_tokens: 300, prompt: {file: prompt.md}}`",
    "sinks": "write one: `sinks: [{type: jsonl, path: out.jsonl}]`",
}


class OneJob:
    """One job on its way in: each part is read whatever became of the others, so that all mistakes are told at once."""

    def __init__(self, name: str, reader: Reader, page: Page) -> None:
        self._name = name
        self._reader = reader
        self._page = page
        self._sound = True

    def read(self, file: Path) -> Draft:
        """Read every part: into a `JobSpec`, or where one of them is wrong into what is left of it."""
        source = self._component("source", Kind.SOURCE, beside=sections.source)
        builder = self._component("request", Kind.BUILDER, default="template")
        retry = self._component("retry", Kind.RETRY, default="standard", beside=sections.retry, may_lack=True)
        provider = self._component("provider", Kind.PROVIDER, default="anthropic", may_lack=True)
        checks = self._checks(builder)
        sinks = self._sinks()
        notify = self._notifiers()
        rules = self._rules(retry)
        parts = [part for part in (source, builder, *checks, provider, retry) if part is not None]
        others = [*(outlet.sink for outlet in sinks), *(heed.notifier for heed in notify)]
        if any(part.guessed for part in (*parts, *others)):
            self._sound = False
        if not (source and builder and retry and provider and self._sound):
            return Draft(
                name=self._name, file=file, source=source, builder=builder, checks=checks, retry=retry, sinks=sinks,
                provider=provider, rules=rules, tree=self._reader.job, page=self._page, notify=notify,
            )  # fmt: skip
        parts = [source, builder, *checks, provider]
        shown = self._shown([*parts, retry, *others])
        if rules.budget is not None:
            shown["budget"] = {"run": rules.budget / DOLLAR}  # reports reckon with it, so it must be a number
        return JobSpec(
            name=self._name, file=file, source=source, builder=builder, checks=checks, retry=retry, sinks=sinks,
            provider=provider, rules=msgspec.structs.replace(rules, summary=shown),
            config=identity(parts, sinks, rules, file.parent), summary=shown,
            tree=self._reader.job, page=self._page, notify=notify,
        )  # fmt: skip

    def _component(
        self,
        key: str,
        kind: Kind,
        *,
        default: str = "",
        beside: Callable[..., Any] | None = None,
        may_lack: bool = False,
    ) -> Component | None:
        options = self._reader.map_at((key,))
        if options is None:
            return None
        if not options.tree.items and may_lack:
            return Component(offer=self._reader.offer(kind, default), kwargs={}, path=(key,))
        if not options.tree.items:
            return self._reader.wrong(Problem(f"job `{self._name}` has no `{key}`", (), EXAMPLES[key], at_key=True))
        return self._reader.component(kind, options, default=default, beside=beside)

    def _checks(self, builder: Component | None) -> list[Component]:
        read = [self._reader.component(Kind.CHECK, options) for options in self._list("checks")]
        checks = [check for check in read if check is not None]
        self._sound &= len(checks) == len(read)
        schema = builder.kwargs.get("output") if builder else None
        if schema is None or any(check.type == "schema" for check in checks):
            return checks
        offer = self._reader.offer(Kind.CHECK, "schema")
        implied = Component(
            offer=offer, kwargs={"schema": schema}, path=("request", "output"), given=frozenset({"base"})
        )
        return [implied, *checks]

    def _sinks(self) -> list[Outlet]:
        read = [self._sink(options) for options in self._list("sinks")]
        written = self._reader.job.child("sinks")
        if written is None or not written.value:
            hint = EXAMPLES["sinks"]
            self._reader.wrong(Problem(f"job `{self._name}` has no `sinks`", (), hint, at_key=True))
        self._sound &= bool(read) and None not in read
        outlets, problems = named([outlet for outlet in read if outlet])
        for found in problems:
            self._reader.wrong(found)
        return outlets

    def _sink(self, options: Options) -> Outlet | None:
        beside = self._reader.picked(sections.sink, options)
        sink = self._reader.component(Kind.SINK, options, beside=sections.sink)
        return Outlet(name=beside["name"] or "", on=beside["on"], sink=sink) if sink and beside else None

    def _notifiers(self) -> list[Heed]:
        read = [self._notifier(options) for options in self._list("notify")]
        self._sound &= None not in read
        heeds, problems = called([heed for heed in read if heed])
        for found in problems:
            self._reader.wrong(found)
        return heeds

    def _notifier(self, options: Options) -> Heed | None:
        beside = self._reader.picked(sections.notify, options)
        notifier = self._reader.component(Kind.NOTIFIER, options, beside=sections.notify)
        if notifier is None or beside is None:
            return None
        return Heed(
            name=beside["name"] or "",
            on=beside["on"],
            dead=beside["dead"],
            patience=beside["patience"],
            notifier=notifier,
        )

    def _list(self, key: str) -> list[Options]:
        node = self._reader.job.child(key)
        if node is None or node.value is None:
            return []
        rows = [Options((key, position), row) for position, row in enumerate(node.rows)]
        good = [options for options in rows if isinstance(options.tree.value, dict)]
        if not isinstance(node.value, list) or len(good) < len(rows):
            self._sound = False
            self._reader.wrong(Problem(f"`{key}` should be a list of maps, each with a `type`", (key,)))
        return good

    def _rules(self, retry: Component | None) -> Rules:
        """Read what is no component; a section with mistakes is left at its defaults, for its mistakes are told."""
        job = Options((), self._reader.job)
        single = self._reader.picked(sections.job, job)
        carry = self._beside("source", sections.source)
        after = self._beside("retry", sections.retry)
        batch = self._section("batch", sections.batch)
        submit = self._section("submit", sections.submit)
        spent = self._reader.map_at(("budget",))
        budget = self._reader.section(sections.budget, spent) if spent and spent.tree.items else None
        read = (single, carry, after, batch, submit, spent)
        self._sound &= None not in read and not (spent and spent.tree.items and budget is None)
        return Rules(
            batch=cast("BatchRules", batch or sections.BATCH),
            submit=cast("SubmitRules", submit or sections.SUBMIT),
            retry=_with_attempts(cast("RetryRules", after or sections.RETRY), retry),
            budget=budget,
            carry=cast("tuple[str, ...]", carry or ()),
            **(single or {}),
        )

    def _section(self, key: str, make: Callable[..., Any]) -> Any:
        options = self._reader.map_at((key,))
        return self._reader.section(make, options) if options else None

    def _beside(self, key: str, make: Callable[..., Any]) -> Any:
        options = self._reader.map_at((key,))
        return self._reader.picked(make, options) if options else None

    def _shown(self, parts: list[Component]) -> dict[str, Any]:
        """Show the job as written, each component with its secrets starred."""
        shown = cast("dict[str, Any]", self._reader.job.plain())
        for part in parts:
            if len(part.path) == 1 and part.shown:
                shown[str(part.path[0])] = part.shown
            elif part.shown:
                shown[str(part.path[0])][part.path[-1]] = part.shown
        return shown


def _with_attempts(rules: RetryRules, retry: Component | None) -> RetryRules:
    attempts = retry.kwargs.get("attempts") if retry else None
    return msgspec.structs.replace(rules, attempts=attempts) if isinstance(attempts, int) else rules
