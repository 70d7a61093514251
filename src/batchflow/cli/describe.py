"""`batchflow describe [KIND] [NAME]`: which components there are, and the options of each, read from its signature."""

import sys
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import msgspec

from batchflow.cli.exits import Exit
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.extend.near import did_you_mean
from batchflow.extend.offers import Offer
from batchflow.extend.signature import Parameter, Spec
from batchflow.model.errors import PluginError, UnknownComponent

WIDTH = 100
CONFIGURED = (
    Kind.SOURCE,
    Kind.BUILDER,
    Kind.CHECK,
    Kind.RETRY,
    Kind.SINK,
    Kind.PROVIDER,
    Kind.NOTIFIER,
    Kind.SECRET_STORE,
    Kind.LOADER,
)
"""The kinds that a job file configures; they are what is listed when nothing is named."""


def describe(kind: str = "", name: str = "", *, plugins: Plugins, json: bool = False) -> Exit:
    """Say what can be configured: all components, those of one kind, or every option of one."""
    kinds = (_kind(kind),) if kind else CONFIGURED
    offers = [plugins.offer(kinds[0], name)] if name else [o for k in kinds for o in plugins.offers(k).values()]
    if json:
        told = msgspec.json.encode([_facts(offer) for offer in offers])
        sys.stdout.write(msgspec.json.format(told, indent=2).decode() + "\n")
        return Exit.DELIVERED
    lines = _options(offers[0]) if name else _listed(offers)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return Exit.DELIVERED


def _kind(written: str) -> Kind:
    singular = written.removesuffix("s") if written != Kind.PRICES else written
    try:
        return Kind(singular.replace("-", "_"))
    except ValueError as error:
        raise UnknownComponent(f"there is no kind `{written}`: {did_you_mean(written, list(Kind))}") from error


def _listed(offers: list[Offer]) -> Iterator[str]:
    width = max((len(offer.name) for offer in offers), default=0)
    kind = None
    for offer in sorted(offers, key=lambda offer: (list(Kind).index(offer.kind), offer.name)):
        if offer.kind != kind:
            kind = offer.kind
            yield f"{kind}:"
        yield f"  {offer.name:<{width}}  {_said(offer)}"
    yield ""
    yield "To see the options of one: batchflow describe KIND NAME"


def _said(offer: Offer) -> str:
    try:
        return Spec.of(offer.load()).doc
    except PluginError as error:
        return f"(cannot be loaded: {error.message})"


def _options(offer: Offer) -> Iterator[str]:
    spec = Spec.of(offer.load())
    yield f"{offer.kind} `{offer.name}`, from {offer.by}"
    yield spec.doc
    for parameter in spec.parameters.values():
        yield ""
        yield f"  {parameter.name}: {parameter.type}{_default(parameter)}"
        yield from wrap(parameter.doc, WIDTH, initial_indent="      ", subsequent_indent="      ")
    if spec.mendable:
        yield ""
        yield f"  May be changed in the middle of a run: {', '.join(one for one in spec.parameters if one in spec.mendable)}"
    if spec.open_ended:
        yield ""
        yield "  ...: any other option is passed on as it is"


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return " (required)"
    if parameter.default in (None, "", [], {}):
        return ""
    unit = "s" if parameter.type.startswith("duration") else ""
    shown = f"{parameter.default:g}" if isinstance(parameter.default, float) else parameter.default
    return f" (default {shown}{unit})"


def _facts(offer: Offer) -> dict[str, Any]:
    known = {"kind": offer.kind, "name": offer.name, "by": str(offer.by)}
    try:
        spec = Spec.of(offer.load())
    except PluginError as error:
        return {**known, "broken": error.message}
    return {
        **known,
        "doc": spec.doc,
        "given": sorted(spec.given),
        "mendable": sorted(spec.mendable),
        "open_ended": spec.open_ended,
        "schema": spec.schema(),
    }
