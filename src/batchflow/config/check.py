"""What can be found out about a job before it costs anything: `validate` asks the parts themselves.

The first records are read and built, exactly as a run would; nothing is sent and nothing is written.
"""

import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from batchflow.config.build import Made, placed
from batchflow.config.job import Component, Draft, JobSpec
from batchflow.config.overlap import clashes
from batchflow.extend.facade import Plugins
from batchflow.extend.signature import Spec
from batchflow.model import problem
from batchflow.model.errors import PluginError, SourceError
from batchflow.model.problem import Problem
from batchflow.model.record import Page, Record, Unreadable
from batchflow.ports.builder import Builder, BuildError, Inspectable
from batchflow.ports.prices import Prices
from batchflow.ports.source import Described, OneShot, Source
from batchflow.stages.ask import requests_of
from batchflow.stages.asked import asked, where_of
from batchflow.stages.kit import Parts
from batchflow.stages.lane import Lane
from batchflow.stages.overlap import Needed
from batchflow.stages.wall import blame, is_foreign, wall

SAMPLE = 100


class Sample(msgspec.Struct, frozen=True):
    """The first items of a source, and the columns it declares."""

    records: Sequence[Record] = ()
    unreadable: Sequence[Unreadable] = ()
    declared: frozenset[str] | None = None
    looked: bool = True
    """False where reading would use the records up, or was not possible."""

    @property
    def columns(self) -> frozenset[str] | None:
        """Every column that some record has, usable or not; None where nothing is known."""
        if self.declared is not None:
            return self.declared
        columns = frozenset[str]().union(
            *(record.data for record in self.records), *(item.columns for item in self.unreadable)
        )
        return columns if self.records or columns else None


UNSEEN = Sample(looked=False)


async def check(
    job: Draft, parts: Parts | Made, *, plugins: Plugins, prices: Prices, kept: Sequence[Needed] = ()
) -> list[Problem]:
    """Ask every part of a job what is wrong with it; of a draft, every part that there is. `kept` are batchflow's own files."""
    sample, found = (
        await _looked_at(job.source, parts.source, job.rules.plugin_timeout)
        if job.source and parts.source
        else (UNSEEN, [])
    )
    found += _columns(job, sample)
    if job.builder:
        found += [*await _builder(job, job.builder, parts.builder, sample), *_price(job, job.builder, prices)]
    found += _sinks(job)
    sinks = parts.sinks if isinstance(parts, Made) else [outlet.sink for outlet in parts.outlets]
    found += await clashes(job, parts.source, sinks, plugins=plugins, kept=kept)
    return found + plugins.check_job(job) if isinstance(job, JobSpec) else found


async def _looked_at(component: Component, source: Source, within: float) -> tuple[Sample, list[Problem]]:
    """Look at the first records, unless looking uses them up: a queue, or a stream that the run itself must copy."""
    if "spool" in component.given or (isinstance(source, OneShot) and source.one_shot):
        return UNSEEN, []
    declared = None
    try:
        declared = await _declared(source, within)
        items = await asked(
            source, "while its first records were read", partial(_first, source), within=within, where=where_of(source)
        )
    except (SourceError, PluginError) as error:
        return Sample(declared=declared, looked=False), [_about_source(component, error)]
    records = [item for item in items if isinstance(item, Record)]
    unreadable = [item for item in items if isinstance(item, Unreadable)]
    sample = Sample(records, unreadable, declared)
    return sample, list(_source(component, sample))


async def _declared(source: Source, within: float) -> frozenset[str] | None:
    if not isinstance(source, Described):
        return None
    return await asked(source, "when it was asked for its columns", source.columns, within=within)


async def _first(source: Source) -> list[Record | Unreadable]:
    """Read some items, unless the source idles: then it has nothing to look at now."""
    items: list[Record | Unreadable] = []
    pages = source.read(None)
    try:
        async for page in pages:
            items += page.items if isinstance(page, Page) else []
            if len(items) >= SAMPLE or not isinstance(page, Page):
                break
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()
    return items[:SAMPLE]


def _source(source: Component, sample: Sample) -> Iterator[Problem]:
    total = len(sample.records) + len(sample.unreadable)
    if source.guessed:
        return  # how it reads may be what a misspelt option was to change
    if sample.unreadable:
        first = sample.unreadable[0]
        message = f"{len(sample.unreadable)} of the first {total} records cannot be read"
        said = f"{message}; the first: {first.origin}: {first.reason}"
        yield Problem(said, source.path, warning=bool(sample.records), at_key=True)
    elif sample.looked and not sample.records:
        yield Problem(
            "the source is empty, so there is nothing to ask", source.path,
            "check that it is the right one: a run of it ends at once and delivers nothing", warning=True, at_key=True,
        )  # fmt: skip


def _columns(job: Draft, sample: Sample) -> Iterator[Problem]:
    """Carried columns that no record has."""
    columns = sample.columns
    for position, column in enumerate(job.rules.carry):
        if columns is not None and column not in columns:
            yield Problem(
                f"no record has a column `{column}` to carry", ("source", "carry", position), _listed(columns)
            )


async def _builder(job: Draft, component: Component, builder: Builder | None, sample: Sample) -> list[Problem]:
    """Ask a builder, and let it build. One of others is asked in a thread, and no longer than is decent, as a run would."""
    if builder is None:
        return []
    look = partial(_built, job, component, builder, sample)
    if not is_foreign(builder):
        return look()
    lane, doing = Lane(), "while the first requests were built"
    try:
        return await asked(builder, doing, partial(lane.run, look), within=job.rules.plugin_timeout, where=lane.where)
    except PluginError as error:
        return [Problem(error.message, (*component.path, "type"), error.hint, plugin=True)]


def _built(job: Draft, component: Component, builder: Builder, sample: Sample) -> list[Problem]:
    said: list[Problem] = []
    if isinstance(builder, Inspectable):
        version = _version(job.provider) if job.provider else ""
        with wall(builder, "when it was asked what is wrong"):
            said = [placed(component, message) for message in builder.problems(sample.columns, version=version)]
    known = {component.path, *(found.path for found in said)} if said else frozenset[problem.Path]()
    return [*said, *(found for found in _tried(component, builder, sample) if found.path not in known)]


def _tried(component: Component, builder: Builder, sample: Sample) -> Iterator[Problem]:
    """Build the first records, as the run would."""
    tried = ((record.origin, _reason(builder, record)) for record in sample.records)
    failed = [(origin, error) for origin, error in tried if error]
    if failed:
        origin, error = failed[0]
        reason = error.message if isinstance(error, PluginError) else str(error)
        share = f"{len(failed)} of the first {len(sample.records)} records cannot become a request"
        some_can = len(failed) < len(sample.records)
        yield msgspec.structs.replace(
            placed(component, reason),
            message=f"{share}; the first: {origin}: {reason}",
            warning=some_can,
            plugin=is_foreign(builder) and all(isinstance(error, PluginError) for _, error in failed),
        )


def _reason(builder: Builder, record: Record) -> PluginError | BuildError | None:
    try:
        requests_of(builder, record, builder.build(record))
    except (PluginError, BuildError) as error:
        return error
    except Exception as error:  # noqa: BLE001 - a run would stop here and name the record, so it is named now
        return blame(builder, f"on record {record.key!r} ({record.origin})", error)
    return None


def _price(job: Draft, builder: Component, prices: Prices) -> Iterator[Problem]:
    """A model that no price book knows: it can be asked, but not reckoned, and so not within a budget."""
    model = builder.kwargs.get("model")
    if isinstance(model, str) and "{" not in model and prices.price(model) is None:
        kept = job.rules.budget is None
        what = "so its cost will read as zero" if kept else "so its budget cannot be kept, and nothing would be sent"
        yield Problem(
            f"no price is known for model `{model}`, {what}", (*builder.path, "model"),
            "check the spelling; a plugin can bring prices (`register_prices`)", warning=kept,
        )  # fmt: skip


def _sinks(job: Draft) -> Iterator[Problem]:
    for outlet in job.sinks:
        path = outlet.sink.kwargs.get("path")
        unusable = _unusable if "path" in Spec.of(outlet.sink.factory).folders else _unwritable
        reason = unusable(path) if isinstance(path, Path) else ""
        if reason:
            yield Problem(reason, (*outlet.sink.path, "path"))


def _unwritable(path: Path) -> str:
    """Say why a file could not be written; its folder would be made if only its own parent can be written."""
    if path.is_dir():
        return f"{path} is a folder; a file's name is wanted"
    if path.exists():
        return "" if os.access(path, os.W_OK) else f"may not write {path}"
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir():
        return f"{folder} is a file, so {path} cannot be made in it"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"may not write into {folder}"


def _unusable(path: Path) -> str:
    """Say why no files could be made in a folder."""
    if path.exists() and not path.is_dir():
        return f"{path} is a file; a folder's name is wanted"
    if path.exists():
        return "" if os.access(path, os.W_OK | os.X_OK) else f"may not write into {path}"
    return _unwritable(path)


def _about_source(source: Component, error: SourceError | PluginError) -> Problem:
    where = "path" if "path" in source.kwargs else "type"
    return Problem(error.message, (*source.path, where), error.hint, plugin=isinstance(error, PluginError))


def _version(provider: Component) -> str:
    """The API version that requests will be judged by: configured, or the provider's own default."""
    if "version" in provider.kwargs:
        return str(provider.kwargs["version"])
    declared = Spec.of(provider.factory).parameters.get("version")
    return str(declared.default) if declared and not declared.required else ""


def _listed(columns: frozenset[str]) -> str:
    return f"there are: {', '.join(sorted(columns))}"
