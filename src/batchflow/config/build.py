"""Making a job's components from what was read. A factory's refusal is told at the line of the option it is about."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from batchflow.config.faults import Fault, refusal
from batchflow.config.job import Component, JobSpec
from batchflow.extend.signature import Spec
from batchflow.model.errors import BatchflowError, Bug, PluginError
from batchflow.model.problem import Path, Problem
from batchflow.stages import kit

_SUBJECT = re.compile(r"`?([A-Za-z_]\w*(?:\.\w+|\[\d+\])*)")
_FIELD = re.compile(r"field '([^']+)'")


def build(job: JobSpec, given: Mapping[str, Any]) -> kit.Parts:
    """Make the parts of a job, all but its provider; or raise `ConfigError` with everything that the factories refuse.

    `given` holds what the app supplies by name: `filters`, `spool`, `clock` ...; `base` and `carry` come from the job.
    """
    making = _Making(job, given)
    source = making.made(job.source)
    builder = making.made(job.builder)
    checks = [making.made(check) for check in job.checks]
    retry = making.made(job.retry)
    sinks = [making.made(outlet.sink) for outlet in job.sinks]
    making.stop()
    outlets = [
        kit.Outlet(name=outlet.name, sink=sink, on=outlet.on) for outlet, sink in zip(job.sinks, sinks, strict=True)
    ]
    return kit.Parts(
        name=job.name, source=source, builder=builder, outlets=outlets, retry=retry, checks=checks, rules=job.rules
    )


def build_provider(job: JobSpec, given: Mapping[str, Any]) -> Any:
    """Make the provider of a job."""
    making = _Making(job, given)
    provider = making.made(job.provider)
    making.stop()
    return provider


def placed(component: Component, message: str) -> Problem:
    """Lay a sentence about a component at the option that it names first, or else at the component."""
    return Problem(message, (*component.path, *_subject(component, message)))


class _Making:
    """Calls factories and keeps what they refuse, so that all of it is told at once."""

    def __init__(self, job: JobSpec, given: Mapping[str, Any]) -> None:
        self._job = job
        self._given = {"base": job.base, "carry": job.rules.carry, **given}
        self._faults: list[Fault] = []

    def made(self, component: Component) -> Any:
        """Make one component; None where its factory refuses."""
        factory = component.factory
        kwargs = component.kwargs | dict(self._injected(component))
        try:
            return factory(**kwargs)
        except ValueError as error:
            self._faults.append(self._job.fault(placed(component, str(error))))
        except BatchflowError:
            raise
        except Exception as error:
            what = f"{component.kind} `{component.type}` of plugin {component.offer.by}"
            reason = self._job.page.discreet(f"{type(error).__name__}: {error}")
            raise PluginError(f"{what} could not be made: {reason}", hint="this is a fault of that plugin") from error
        return None

    def stop(self) -> None:
        """Raise everything refused, if anything was."""
        if self._faults:
            raise refusal(self._job.page, self._faults)

    def _injected(self, component: Component) -> Iterator[tuple[str, Any]]:
        wanted = Spec.of(component.factory)
        for name in wanted.given:
            if name in self._given:
                yield name, self._given[name]
            elif name in wanted.needed:
                raise Bug(f"{component.kind} `{component.type}` asks the app for `{name}`, which it does not have")


def _subject(component: Component, message: str) -> Path:
    """Read the option that a sentence begins with: `mode`, `messages[0].content`, or the field of a mapping."""
    if field := _FIELD.match(message):
        return ("fields", field[1])
    found = _SUBJECT.match(message)
    steps = re.findall(r"\w+", found[1]) if found else [""]
    return tuple(int(step) if step.isdigit() else step for step in steps) if steps[0] in component.kwargs else ()
