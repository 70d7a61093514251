"""Making a job's components from what was read. A factory's refusal is told at the line of the option it is about."""

import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from inspect import iscoroutine
from typing import Any

import msgspec

from batchflow.config.faults import Fault, refusal
from batchflow.config.job import Component, Draft, JobSpec
from batchflow.config.secrets import Lookups, is_unopened
from batchflow.extend.deadline import missed, told
from batchflow.extend.kinds import Kind
from batchflow.extend.signature import Spec
from batchflow.model.errors import BatchflowError, Bug, PluginError
from batchflow.model.problem import Path, Problem
from batchflow.ports.check import Shaping
from batchflow.stages import kit
from batchflow.stages.plain import awaited_sink, awaited_source

_SUBJECT = re.compile(r"`?([A-Za-z_]\w*(?:\.\w+|\[\d+\])*)")
_FIELD = re.compile(r"field '([^']+)'")


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a job, as far as they could be made: None stands for what was refused, or could not be read."""

    source: Any
    builder: Any
    checks: Sequence[Any]
    retry: Any
    sinks: Sequence[Any]
    notifiers: Sequence[Any]
    refused: Sequence[Fault]


def build(
    job: JobSpec, given: Mapping[str, Any], *, notifiers: bool = False, secrets: Lookups | None = None
) -> kit.Parts:
    """Make the parts of a job, all but its provider; or raise `ConfigError` with everything that the factories refuse.

    Its notifiers are made for who drives it: whoever only looks has nothing to tell, and needs no credentials.

    `given` holds what the app supplies by name: `filters`, `spool`, `clock` ...; `base`, `carry` and `output` come from the job.
    """
    made = _made(_Making(job, given, secrets), notifiers=notifiers)
    if made.refused:
        raise refusal(job.page, made.refused)
    outlets = [
        kit.Outlet(name=outlet.name, sink=sink, on=outlet.on)
        for outlet, sink in zip(job.sinks, made.sinks, strict=True)
    ]
    listeners = [
        kit.Listener(name=heed.name, notifier=notifier, on=heed.on, dead=heed.dead, patience=heed.patience)
        for heed, notifier in zip(job.notify, made.notifiers, strict=False)
    ]
    return kit.Parts(
        name=job.name, source=made.source, builder=made.builder, outlets=outlets, retry=made.retry,
        checks=made.checks, rules=job.rules, listeners=listeners,
    )  # fmt: skip


def build_provider(job: JobSpec, given: Mapping[str, Any], secrets: Lookups | None = None) -> Any:
    """Make the provider of a job. Without `secrets`, what it reveals of any only stands for it."""
    making = _Making(job, given, secrets)
    provider = making.made(job.provider)
    if making.refused:
        raise refusal(job.page, making.refused)
    return provider


def make(job: Draft, given: Mapping[str, Any], *, provider: bool = False, notifiers: bool = False) -> Made:
    """Make whatever of a job can be made. The provider is made only to hear whether it would be refused."""
    return _made(_Making(job, given, guessing=True), provider=provider, notifiers=notifiers)


def _made(making: "_Making", *, provider: bool = False, notifiers: bool = False) -> Made:
    job = making.job
    source = awaited_source(making.made(job.source))
    builder = making.made(job.builder)
    checks = [making.made(check) for check in job.checks]
    retry = making.made(job.retry)
    making.tell_shape(checks)
    sinks = [awaited_sink(making.made(outlet.sink)) for outlet in job.sinks]
    told = [making.made(heed.notifier) for heed in job.notify] if notifiers else []
    if provider:
        making.made(job.provider)
    return Made(
        source=source, builder=builder, checks=checks, retry=retry, sinks=sinks, notifiers=told,
        refused=making.refused,
    )  # fmt: skip


def placed(component: Component, message: str) -> Problem:
    """Lay a sentence about a component at the option that it names first, or else at the component."""
    return Problem(message, (*component.path, *_subject(component, message)))


class _Useless(Exception):
    """A factory gave what is no part of its kind."""


class _Making:
    """Calls factories and keeps what they refuse, so that all of it is told at once."""

    def __init__(
        self, job: Draft, given: Mapping[str, Any], secrets: Lookups | None = None, *, guessing: bool = False
    ) -> None:
        self.job = job
        self._secrets = secrets
        self._guessing = guessing
        """Nobody will use what is made, so what is only said of a secret that stands for another does not count."""
        self._given = {"base": job.base, "carry": job.rules.carry, "output": None, **given}
        self.refused: list[Fault] = []

    def tell_shape(self, checks: Sequence[Any]) -> None:
        """Supply, from here on, the schema of what the checks leave in `output`: the last of them has the last word."""
        for check in checks:
            if isinstance(check, Shaping):
                self._given["output"] = check.schema

    def made(self, component: Component | None) -> Any:
        """Make one component; None where its factory refuses."""
        if component is None:
            return None
        factory = component.factory
        kwargs = component.kwargs
        if self._secrets is not None:
            before = len(self.refused)
            kwargs = self._secrets.opened(kwargs, self.job.page, self.refused.append)
            if len(self.refused) > before:
                return None
        kwargs = kwargs | dict(self._injected(component))
        what = f"{component.kind} `{component.type}` of plugin {component.offer.by}"
        try:
            with missed(what):
                return _usable(component.kind, factory(**kwargs))
        except ValueError as error:
            self._refuse(component, placed(component, str(error)))
        except BatchflowError:
            raise
        except (Exception, SystemExit) as error:
            if component.guessed or (self._guessing and is_unopened(component.kwargs)):
                return None
            reason = self.job.page.discreet(str(error) if isinstance(error, _Useless) else told(error))
            said, hint = f"{what} could not be made: {reason}", "this is a fault of that plugin"
            if not self._guessing:
                raise PluginError(said, hint=hint) from error
            self.refused.append(self.job.fault(Problem(said, (*component.path, "type"), hint, plugin=True)))
        return None

    def _refuse(self, component: Component, found: Problem) -> None:
        """Keep a refusal, unless it may only follow from an option that was misspelt, which is told already."""
        if (
            self._guessing
            and found.path[len(component.path) :]
            and is_unopened(component.kwargs.get(str(found.path[len(component.path)])))
        ):
            return
        if not component.guessed or self.job.tree.holds(found.path, below=component.path):
            self.refused.append(self.job.fault(found))

    def _injected(self, component: Component) -> Iterator[tuple[str, Any]]:
        wanted = Spec.of(component.factory)
        for name in wanted.given:
            if name in self._given:
                yield name, self._given[name]
            elif name in wanted.needed:
                raise Bug(f"{component.kind} `{component.type}` asks the app for `{name}`, which it does not have")


def _usable(kind: Kind, given: Any) -> Any:
    """Give back what a factory gave if it is an object at all; whether that has the methods it should is seen later."""
    if iscoroutine(given):
        given.close()  # nobody will await it, and Python would say so somewhere else
        raise _Useless("it is an async function, and is called without await")
    if given is None or isinstance(given, str | bytes | int | float):
        shown = reprlib.repr(given) if given is None else f"{reprlib.repr(given)} ({type(given).__name__})"
        raise _Useless(f"it gave {shown}, not a {kind}{'; is a `return` missing?' if given is None else ''}")
    return given


def _subject(component: Component, message: str) -> Path:
    """Read the option that a sentence begins with: `mode`, `messages[0].content`, or the field of a mapping."""
    if field := _FIELD.match(message):
        return ("fields", field[1])
    found = _SUBJECT.match(message)
    steps = re.findall(r"\w+", found[1]) if found else [""]
    return tuple(int(step) if step.isdigit() else step for step in steps) if steps[0] in component.kwargs else ()
