"""The typed face on the plugins of one app: everything above asks here and never touches a hook.

Each plugin's hook is called by itself, so that an error can be laid at its door and the others are still heard.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from inspect import iscoroutine
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pluggy

from batchflow.extend.admission import Admission
from batchflow.extend.deadline import Hung, patience, within
from batchflow.extend.hearing import Hearing
from batchflow.extend.intake import Intake, call
from batchflow.extend.kinds import Kind
from batchflow.extend.near import did_you_mean
from batchflow.extend.offers import Broken, Denied, Factory, Notice, Offer, Origin, Taken
from batchflow.model.errors import PluginError, UnknownComponent
from batchflow.model.problem import Problem
from batchflow.model.state import Event
from batchflow.ports.builder import Builder
from batchflow.ports.check import Check
from batchflow.ports.job import JobView
from batchflow.ports.notifier import Notifier
from batchflow.ports.prices import Prices
from batchflow.ports.provider import Provider
from batchflow.ports.retry import RetryPolicy
from batchflow.ports.secrets import Secrets
from batchflow.ports.sink import Sink
from batchflow.ports.source import Source

log = logging.getLogger("batchflow.plugins")
DAY = 86_400.0
QUICK = 1.0
"""Seconds to decide one thing, while the event loop waits."""


class Plugins:
    """The plugins of one app: the built-in parts, then installed distributions, then files, then objects handed in.

    A later plugin that brings a name again replaces the earlier component, with a notice. An installed plugin or a file that
    cannot be taken in is kept in `broken`, and only what needs it fails; an object handed in raises `PluginError` at once.
    `allow` and `deny` name installed plugins and files; what they keep out is not even imported.
    """

    def __init__(
        self,
        plugins: Sequence[object] = (),
        *,
        entry_points: bool = True,
        files: Mapping[str, Path] | None = None,
        allow: Collection[str] | None = None,
        deny: Collection[str] = (),
        admissions: Sequence[Admission] = (),
    ) -> None:
        self.files: Sequence[Path] = tuple((files or {}).values())
        own = Admission(allow=None if allow is None else frozenset(allow), deny=frozenset(deny))
        self._intake = Intake([own, *admissions])
        self._complaints: set[str] = set()
        self._silent: list[pluggy.HookImpl] = []
        self._hearings: dict[str, Hearing] = {}
        self._intake.builtin()
        if entry_points:
            self._intake.installed()
        for shown, file in (files or {}).items():
            self._intake.file(file, shown)
        for plugin in plugins:
            self._intake.take(plugin, Origin(_name_of(plugin)))

    @property
    def taken(self) -> Sequence[Taken]:
        """The plugins that were taken in, in the order in which they were: what comes later replaces what came before."""
        return tuple(self._intake.taken)

    @property
    def notices(self) -> Sequence[Notice]:
        """What a person should hear about the plugins: names that were replaced."""
        return tuple(self._intake.notices)

    @property
    def broken(self) -> Sequence[Broken]:
        """The plugins that could not be taken in, and why."""
        return tuple(self._intake.broken)

    @property
    def denied(self) -> Sequence[Denied]:
        """The plugins that may not be loaded, and why."""
        return tuple(self._intake.denied)

    @property
    def lack_some(self) -> bool:
        """Tell whether some plugin was left out, which may have brought what is not there."""
        return bool(self._intake.broken or self._intake.denied)

    def source(self, name: str) -> Callable[..., Source]:
        """Give the factory of a source."""
        return self.offer(Kind.SOURCE, name).load()

    def sources(self) -> Mapping[str, Offer]:
        """List the sources that could be had."""
        return self.offers(Kind.SOURCE)

    def builder(self, name: str) -> Callable[..., Builder]:
        """Give the factory of a request builder."""
        return self.offer(Kind.BUILDER, name).load()

    def builders(self) -> Mapping[str, Offer]:
        """List the request builders that could be had."""
        return self.offers(Kind.BUILDER)

    def provider(self, name: str) -> Callable[..., Provider]:
        """Give the factory of a provider."""
        return self.offer(Kind.PROVIDER, name).load()

    def check(self, name: str) -> Callable[..., Check]:
        """Give the factory of a check on results."""
        return self.offer(Kind.CHECK, name).load()

    def retry(self, name: str) -> Callable[..., RetryPolicy]:
        """Give the factory of a retry policy."""
        return self.offer(Kind.RETRY, name).load()

    def sink(self, name: str) -> Callable[..., Sink]:
        """Give the factory of a sink."""
        return self.offer(Kind.SINK, name).load()

    def sinks(self) -> Mapping[str, Offer]:
        """List the sinks that could be had."""
        return self.offers(Kind.SINK)

    def state_store(self, name: str) -> Factory:
        """Give the factory of a state store."""
        return self.offer(Kind.STATE_STORE, name).load()

    def blob_store(self, name: str) -> Factory:
        """Give the factory of a blob store."""
        return self.offer(Kind.BLOB_STORE, name).load()

    def filters(self) -> Mapping[str, Factory]:
        """Give all template filters, by name."""
        return self._loaded(Kind.FILTER)

    def globals(self) -> Mapping[str, Factory]:
        """Give all template functions, by name."""
        return self._loaded(Kind.GLOBAL)

    def prices(self) -> list[Callable[..., Prices]]:
        """Give the factories of price books, those of later plugins first."""
        return [offer.load() for offer in reversed(list(self.offers(Kind.PRICES).values()))]

    def notifier(self, name: str) -> Callable[..., Notifier]:
        """Give the factory of a notifier."""
        return self.offer(Kind.NOTIFIER, name).load()

    def loader(self, name: str) -> Callable[..., str]:
        """Find a loader of texts."""
        return self.offer(Kind.LOADER, name).load()

    def secret_store(self, name: str) -> Callable[..., Secrets]:
        """Find the factory of a secret store."""
        return self.offer(Kind.SECRET_STORE, name).load()

    def commands(self) -> Mapping[str, Factory]:
        """Give all command line verbs, by name."""
        return {name: offer.load() for name, offer in self.offers(Kind.COMMAND).items()}

    def offers(self, kind: Kind) -> Mapping[str, Offer]:
        """List what could be had of one kind; nothing is imported for it."""
        return MappingProxyType(self._intake.offers[kind])

    def offer(self, kind: Kind, name: str) -> Offer:
        """Find one component, or say which there are."""
        known = self.offers(kind)
        if name in known:
            return known[name]
        left_out = "".join(f"\n{one}" for one in (*self.broken, *self._kept_out()))
        raise UnknownComponent(
            f"there is no {kind} `{name}`: {did_you_mean(name, known)}{left_out}",
            hint=f"type `batchflow describe {kind}` to see them all, or install the plugin that brings `{name}`",
        )

    def _loaded(self, kind: Kind) -> Mapping[str, Factory]:
        """Load all of one kind; one that cannot be loaded is not there for templates that name it, and harms no others."""
        found: dict[str, Factory] = {}
        for name, offer in self.offers(kind).items():
            try:
                found[name] = offer.load()
            except PluginError as error:
                self._complain(error.message)
        return found

    def _kept_out(self) -> Iterator[str]:
        """Say who was not loaded, those of one reason together."""
        for reason in dict.fromkeys(denied.reason for denied in self.denied):
            names = ", ".join(str(denied.by) for denied in self.denied if denied.reason == reason)
            yield f"not loaded, for {reason}: {names}"

    def check_job(self, job: JobView) -> list[Problem]:
        """Ask every plugin what is wrong with a job; a plugin that fails to answer is a problem too."""
        return [problem for impl in self._intake.impls("check_job") for problem in self._problems(impl, job)]

    def choose_poll_delay(self, *, age: float, default: float) -> float:
        """Ask for the seconds until a batch is looked at again: the latest plugin with an answer decides.

        One that fails has no answer. It is told of once, and no run fails for it: the others do without it. One that hangs
        is not asked again, for the event loop waits here.
        """
        for impl in reversed(self._intake.impls("choose_poll_delay")):
            if impl in self._silent:
                continue
            try:
                chosen = within(QUICK, partial(call, impl, age=age, default=default))
                if chosen is not None:
                    return _seconds(chosen)
            except Hung as error:
                self._silent.append(impl)
                self._complain(f"{self._intake.blame(impl, error).message}; it is not asked again")
            except Exception as error:  # noqa: BLE001 - it is not our code, and there is an answer without it
                self._complain(self._intake.blame(impl, error).message)
        return default

    def on_event(self, event: Event, job: str = "") -> None:
        """Tell every plugin what has been committed, now. An error is logged under its plugin's name and goes no further."""
        for impl in self._intake.impls("on_event"):
            self._tell(impl, event, job)

    def hand_on(self, event: Event, job: str) -> None:
        """Let every plugin be told in a thread of its own, and wait for none of them."""
        for impl in self._intake.impls("on_event"):
            name = str(impl.plugin_name)
            if name not in self._hearings:
                self._hearings[name] = Hearing(str(self._intake.origin(impl)))
            self._hearings[name].put(partial(self._tell, impl, event, job))

    def settle(self) -> None:
        """Wait until every plugin has heard what it was to be told of; one that hangs is named, and waited for no longer."""
        for hearing in self._hearings.values():
            hearing.settle()

    @property
    def listen(self) -> bool:
        """Tell whether anybody was to be told of something."""
        return bool(self._hearings)

    def _tell(self, impl: pluggy.HookImpl, event: Event, job: str) -> None:
        origin = self._intake.origin(impl)
        try:
            given: object = call(impl, event=event, job=job)
        except (Exception, SystemExit):
            log.exception("plugin %s failed in on_event at %s", origin, event.kind)
        else:
            if iscoroutine(given):
                given.close()  # nobody will await it, and Python would say so somewhere else
                self._complain(f"plugin {origin} gave a coroutine in on_event, which nobody awaits")

    def _complain(self, message: str) -> None:
        """Say once that a plugin fails at what can do without it."""
        if message not in self._complaints:
            self._complaints.add(message)
            log.error("%s", message)

    def _problems(self, impl: pluggy.HookImpl, job: JobView) -> Iterator[Problem]:
        try:
            answer = within(patience(), partial(call, impl, job=job)) or ()
            for message in [answer] if isinstance(answer, str) else answer:
                yield Problem(f"{message} (says plugin {self._intake.origin(impl)})")
        except Exception as error:  # noqa: BLE001 - the answer to "what is wrong?" is then: this plugin
            yield Problem(self._intake.blame(impl, error).message)


def _seconds(chosen: Any) -> float:
    """Read a plugin's answer. None at all would be a rush on the provider, and for ever would be no answer."""
    seconds = float(chosen)
    if not 1.0 <= seconds <= DAY:
        raise ValueError(f"a batch is looked at again in one second to a day, not in {chosen!r}")
    return seconds


def _name_of(plugin: object) -> str:
    own = getattr(plugin, "__name__", None)
    return own if isinstance(own, str) else type(plugin).__name__
