"""Telling of plugins: all there are, what is wrong with one, and which of them bring the parts of a job."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from batchflow.cli.app import VERBS
from batchflow.cli.environment import Keyless
from batchflow.cli.exits import Exit
from batchflow.cli.opening import split_words
from batchflow.cli.output import data, facts
from batchflow.config.job import Draft
from batchflow.config.load import Survey, survey
from batchflow.config.loading import loaders_of
from batchflow.config.plugging import plugins_for
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind
from batchflow.extend.near import did_you_mean
from batchflow.extend.offers import Offer, Origin, Taken
from batchflow.extend.soundness import faults_of
from batchflow.model.errors import UnknownComponent

BOX = "batchflow.builtin"


class Listed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One plugin as it is told. `order` is its place among those that were loaded."""

    name: str
    distribution: str = ""
    version: str = ""
    file: str = ""
    order: int | None = None
    brings: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    broken: str = ""
    denied: str = ""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one plugin."""

    plugin: str
    ok: bool
    faults: tuple[str, ...]


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a job, and who brings it."""

    part: str
    type: str
    by: str
    instead_of: tuple[str, ...] = ()


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one job, and the hooks that hear of it."""

    job: str
    parts: tuple[Brought, ...]
    hooks: tuple[str, ...]
    shared: tuple[Brought, ...] = ()
    """What all jobs of the file have in common: its stores, of state, of objects, of secrets."""


def tell_all(file: Path, *, json: bool, off: bool) -> Exit:
    """List the plugins there are, in load order, then those that were left out."""
    plugins = plugins_for(file, off=off)
    listed = list(_listed(plugins))
    if json:
        facts(listed)
        return Exit.DELIVERED
    names, whence = [one.name for one in listed], [_whence(one) for one in listed]
    widths = max(map(len, names)), max(map(len, whence))
    for one, place in zip(listed, whence, strict=True):
        order = "-" if one.order is None else str(one.order)
        data(f"{order:>2}  {one.name:<{widths[0]}}  {place:<{widths[1]}}  {_said(one)}".rstrip())
    return Exit.DELIVERED


def check(name: str, file: Path, *, json: bool) -> Exit:
    """Load one plugin, or all, and say what is wrong."""
    checked = list(_checked(*_meant(name, file)))
    if json:
        facts(checked)
    else:
        for one in checked:
            data(f"{one.plugin}: {'sound' if one.ok else f'{len(one.faults)} wrong'}")
            for fault in one.faults:
                data(f"  {fault}")
        if not checked:
            data("there are no plugins besides the built-in parts")
    return Exit.DELIVERED if all(one.ok for one in checked) else Exit.PLUGIN


def why(words: Sequence[str], *, json: bool, off: bool) -> Exit:
    """Say who brings the parts of jobs; a part that cannot be read is missing, and told as `validate` tells it."""
    file, names = split_words(words)
    plugins = plugins_for(file, off=off)
    read = survey(file, plugins, Keyless(), only=names)
    shared = tuple(_shared(read, plugins))
    told = [_why(job, plugins, shared) for job in read.drafts.values()]
    if json:
        facts(told)
    for job in () if json else told:
        data(job.job)
        parts = (*job.parts, *job.shared)
        width = max((len(one.part) for one in parts), default=0)
        for one in parts:
            instead = f", in place of {' and '.join(one.instead_of)}" if one.instead_of else ""
            data(f"  {one.part:<{width}}  {one.type} of {one.by}{instead}")
        for hook in job.hooks:
            data(f"  {'hook':<{width}}  {hook}")
    read.faults.stop()
    return Exit.DELIVERED


def _listed(plugins: Plugins) -> Iterator[Listed]:
    for order, one in enumerate(plugins.taken, 1):
        replaces = tuple(_named(offer) for offer in one.offers if _in_use(plugins, offer).instead_of)
        yield _one(one.by, order=order, brings=tuple(map(_named, one.offers)), hooks=one.hooks, replaces=replaces)
    for broken in plugins.broken:
        yield _one(broken.by, broken=broken.reason)
    for denied in plugins.denied:
        yield _one(denied.by, denied=denied.reason)


def _in_use(plugins: Plugins, offer: Offer) -> Offer:
    """Find what became of an offer: itself, knowing what it replaced, unless a later one replaced it in turn."""
    now = plugins.offers(offer.kind)[offer.name]
    return now if now.by == offer.by else offer


def _one(by: Origin, **known: object) -> Listed:
    return msgspec.convert(
        {"name": by.plugin, "distribution": by.distribution, "version": by.version, "file": by.file, **known}, Listed
    )


def _whence(one: Listed) -> str:
    return one.file or f"{one.distribution} {one.version}".strip() or ("built in" if one.name == BOX else "an object")


def _said(one: Listed) -> str:
    if one.broken or one.denied:
        return f"broken: {one.broken}" if one.broken else f"not loaded: {one.denied}"
    if one.name == BOX:
        return f"{len(one.brings)} parts: `batchflow describe` lists them"
    brings = [f"{name} (replaces)" if name in one.replaces else name for name in one.brings]
    return ", ".join([*brings, *(f"hook {hook}" for hook in one.hooks)]) or "brings nothing"


def _named(offer: Offer) -> str:
    return f"{offer.kind} {offer.name}"


def _meant(name: str, file: Path) -> tuple[Plugins, str]:
    """Load what is to be checked: one file by itself, or what the job file may use."""
    if name.endswith(".py"):
        return Plugins(entry_points=False, files={name: Path(name).resolve()}), ""
    plugins = plugins_for(file)
    origins = [one.by for one in (*plugins.taken, *plugins.broken, *plugins.denied)]
    names = {known for one in origins for known in (one.plugin, one.distribution) if known}
    if name and name not in names:
        raise UnknownComponent(
            f"there is no plugin `{name}`: {did_you_mean(name, names)}", hint="type `batchflow plugin list`"
        )
    return plugins, name


def _checked(plugins: Plugins, name: str) -> Iterator[Checked]:
    found: Iterable[tuple[Origin, tuple[str, ...]]] = [
        *((one.by, (*faults_of(one), *_eclipsed(one))) for one in plugins.taken if _is_meant(one.by, name)),
        *((one.by, (one.reason,)) for one in plugins.broken if _is_meant(one.by, name)),
        *((one.by, (one.reason,)) for one in plugins.denied if name and _is_meant(one.by, name)),
    ]
    for by, faults in found:
        yield Checked(plugin=str(by), ok=not faults, faults=faults)


def _eclipsed(plugin: Taken) -> Iterator[str]:
    """Name verbs that nobody would ever reach."""
    own = {name for name, _, _ in VERBS}
    for offer in plugin.offers:
        if offer.kind is Kind.COMMAND and offer.name in own:
            yield f"command `{offer.name}`: batchflow has a verb of that name, which is the one that is run: choose another"


def _is_meant(by: Origin, name: str) -> bool:
    return name in {by.plugin, by.distribution} if name else by.plugin != BOX


def _why(job: Draft, plugins: Plugins, shared: tuple[Brought, ...]) -> Why:
    hooks = [f"{hook} of {one.by}" for one in plugins.taken for hook in one.hooks]
    return Why(job=job.name, parts=tuple(_parts(job, plugins)), hooks=tuple(hooks), shared=shared)


def _parts(job: Draft, plugins: Plugins) -> Iterator[Brought]:
    single = (
        ("source", job.source),
        ("request", job.builder),
        *(("check", check) for check in job.checks),
        ("retry", job.retry),
    )
    for part, component in single:
        if component is not None:
            yield _brought(part, component.offer)
            for loader in dict.fromkeys(loaders_of(component.kwargs)):
                yield _brought(f"{part}, load", plugins.offer(Kind.LOADER, loader))
    for outlet in job.sinks:
        yield _brought(f"sink {outlet.name}", outlet.sink.offer)
    if job.provider is not None:
        yield _brought("provider", job.provider.offer)
    for heed in job.notify:
        yield _brought(f"notifier {heed.name}", heed.notifier.offer)


def _shared(read: Survey, plugins: Plugins) -> Iterator[Brought]:
    stores = read.stores.parts
    yield _brought("state", stores["store"].offer if "store" in stores else plugins.offer(Kind.STATE_STORE, "sqlite"))
    yield _brought(
        "objects", stores["objects"].offer if "objects" in stores else plugins.offer(Kind.BLOB_STORE, "folder")
    )
    for name, store in read.secrets.items():
        yield _brought(f"secrets {name}", store.offer)


def _brought(part: str, offer: Offer) -> Brought:
    return Brought(part=part, type=offer.name, by=str(offer.by), instead_of=tuple(map(str, offer.instead_of)))
