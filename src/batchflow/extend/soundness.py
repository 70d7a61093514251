"""Everything that can be found wrong with a plugin's parts without making one: `batchflow plugin check` says it."""

import inspect
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, get_type_hints

from batchflow.extend.kinds import Kind
from batchflow.extend.offers import Offer, Taken
from batchflow.extend.signature import Spec
from batchflow.model.errors import PluginError

AWAITED: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.SOURCE: ("read", "fingerprint"),
        Kind.SINK: ("open", "write", "close"),
        Kind.PROVIDER: ("submit", "status", "results"),
        Kind.NOTIFIER: ("notify", "close"),
    }
)
CALLED: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.BUILDER: ("build",),
        Kind.CHECK: ("check",),
        Kind.RETRY: ("decide",),
        Kind.PRICES: ("price",),
        Kind.SECRET_STORE: ("find",),
    }
)
SUPPLIED = frozenset({"base", "carry", "filters", "globals", "spool", "clock", "output"})
"""What a factory may ask the app for."""
FUNCTIONS = frozenset({Kind.FILTER, Kind.GLOBAL, Kind.COMMAND})
"""Kinds that are plain functions, whose signature is no configuration."""
RENDERED = frozenset({Kind.FILTER, Kind.GLOBAL})
"""Those whose answer is written into a prompt."""
UNNAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


def methods_of(kind: Kind) -> tuple[str, ...]:
    """Name the methods that a component of this kind has."""
    return (*AWAITED.get(kind, ()), *CALLED.get(kind, ()))


def faults_of(plugin: Taken) -> list[str]:
    """List what is wrong with what a plugin brings."""
    if not plugin.offers and not plugin.hooks:
        return ["it has no hooks, so it brings nothing: is an `@hookimpl` missing?"]
    return [f"{offer.kind} `{offer.name}`: {fault}" for offer in plugin.offers for fault in _faults(offer)]


def _faults(offer: Offer) -> Iterator[str]:
    try:
        factory = offer.load()
        spec = None if offer.kind in FUNCTIONS else Spec.of(factory)
    except PluginError as error:
        yield error.message
        return
    if spec is not None:
        yield from _faults_of_factory(offer.kind, factory, spec)
    elif offer.kind in RENDERED and inspect.iscoroutinefunction(factory):
        yield "it is async, and templates await nothing: make it a plain `def`"


def _faults_of_factory(kind: Kind, factory: Any, spec: Spec) -> Iterator[str]:
    if not spec.doc:
        yield "the factory has no docstring: its first line is what `batchflow describe` says of it"
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.kind in UNNAMED:
            yield f"parameter `{name}` has no name in a job file: make it keyword-only"
    for parameter in spec.parameters.values():
        if parameter.annotation is Any:
            yield f"parameter `{parameter.name}` has no type"
        if not parameter.doc:
            yield f'parameter `{parameter.name}` has no help: Annotated[..., Doc("...")]'
    for name in sorted(spec.needed - SUPPLIED):
        yield f"parameter `{name}` is to be supplied by the app, which has no such thing; it has {', '.join(sorted(SUPPLIED))}"
    yield from _gives(kind, factory)


def _gives(kind: Kind, factory: Any) -> Iterator[str]:
    """Look at what a factory says that it gives, if it names a class."""
    try:
        given = factory if inspect.isclass(factory) else get_type_hints(factory).get("return")
    except (NameError, TypeError):
        return
    if not inspect.isclass(given):
        return
    for name in methods_of(kind):
        method = getattr(given, name, None)
        if method is None:
            yield f"{given.__qualname__} has no method `{name}`"
        elif name in CALLED.get(kind, ()) and inspect.iscoroutinefunction(method):
            yield f"{given.__qualname__}.{name} is async, and is called without await: make it a plain `def`"
