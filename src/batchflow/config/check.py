"""What can be found out about a job before it costs anything: `validate` asks the parts themselves.

The first records are read and built, exactly as a run would; nothing is sent and nothing is written.
"""

import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

import msgspec

from batchflow.config.build import placed
from batchflow.config.job import Component, JobSpec
from batchflow.extend.facade import Plugins
from batchflow.extend.signature import Spec
from batchflow.model.errors import PluginError, SourceError
from batchflow.model.problem import Problem
from batchflow.model.record import Page, Record, Unreadable
from batchflow.ports.builder import BuildError, Inspectable
from batchflow.ports.prices import Prices
from batchflow.ports.source import Described, OneShot, Source
from batchflow.stages.ask import requests_of
from batchflow.stages.kit import Parts

SAMPLE = 100


class Sample(msgspec.Struct, frozen=True):
    """The first items of a source, and the columns it declares."""

    records: Sequence[Record] = ()
    unreadable: Sequence[Unreadable] = ()
    declared: frozenset[str] | None = None
    looked: bool = True
    """False where reading would use the records up."""

    @property
    def columns(self) -> frozenset[str] | None:
        """Every column that some record has; None where nothing is known."""
        if self.declared is not None or not self.records:
            return self.declared
        return frozenset[str]().union(*(record.data for record in self.records))


async def check(job: JobSpec, parts: Parts, *, plugins: Plugins, prices: Prices) -> list[Problem]:
    """Ask every part of a job what is wrong with it."""
    try:
        sample = await _sampled(parts.source, spooled="spool" in job.source.given)
    except SourceError as error:
        return [msgspec.structs.replace(_about_source(job, error.message), hint=error.hint), *_sinks(job)]
    return [
        *_source(job, sample),
        *_columns(job, sample),
        *_builder(job, parts, sample),
        *_price(job, prices),
        *_sinks(job),
        *plugins.check_job(job),
    ]


async def _sampled(source: Source, *, spooled: bool) -> Sample:
    """Look at the first records, unless looking uses them up: a queue, or a stream that the run itself must copy."""
    if spooled or (isinstance(source, OneShot) and source.one_shot):
        return Sample(looked=False)
    declared = await source.columns() if isinstance(source, Described) else None
    items = await _first(source)
    records = [item for item in items if isinstance(item, Record)]
    unreadable = [item for item in items if isinstance(item, Unreadable)]
    return Sample(records, unreadable, declared)


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


def _source(job: JobSpec, sample: Sample) -> Iterator[Problem]:
    total = len(sample.records) + len(sample.unreadable)
    if sample.unreadable:
        first = sample.unreadable[0]
        message = f"{len(sample.unreadable)} of the first {total} records cannot be read"
        said = f"{message}; the first: {first.origin}: {first.reason}"
        yield Problem(said, job.source.path, warning=bool(sample.records), at_key=True)
    elif sample.looked and not sample.records:
        yield Problem(
            "the source is empty, so there is nothing to ask", job.source.path,
            "check that it is the right one: a run of it ends at once and delivers nothing", warning=True, at_key=True,
        )  # fmt: skip


def _columns(job: JobSpec, sample: Sample) -> Iterator[Problem]:
    """Carried columns that no record has."""
    columns = sample.columns
    for position, column in enumerate(job.rules.carry):
        if columns is not None and column not in columns:
            yield Problem(
                f"no record has a column `{column}` to carry", (*job.source.path, "carry", position), _listed(columns)
            )


def _builder(job: JobSpec, parts: Parts, sample: Sample) -> list[Problem]:
    said: list[str] = []
    if isinstance(parts.builder, Inspectable):
        said = parts.builder.problems(sample.columns, version=_version(job.provider))
    return [placed(job.builder, message) for message in said] or list(_built(job, parts, sample))


def _built(job: JobSpec, parts: Parts, sample: Sample) -> Iterator[Problem]:
    """Build the first records, as the run would."""
    failed = [(record.origin, reason) for record in sample.records if (reason := _reason(parts, record))]
    if failed:
        origin, reason = failed[0]
        share = f"{len(failed)} of the first {len(sample.records)} records cannot become a request"
        some_can = len(failed) < len(sample.records)
        said = f"{share}; the first: {origin}: {reason}"
        yield msgspec.structs.replace(placed(job.builder, reason), message=said, warning=some_can)


def _reason(parts: Parts, record: Record) -> str:
    try:
        requests_of(parts.builder, record, parts.builder.build(record))
    except PluginError as error:
        return error.message
    except BuildError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a run would stop here and name the record, so it is named now
        return f"{type(error).__name__}: {error}"
    return ""


def _price(job: JobSpec, prices: Prices) -> Iterator[Problem]:
    """A model that no price book knows: it can be asked, but not reckoned, and so not within a budget."""
    model = job.builder.kwargs.get("model")
    if isinstance(model, str) and "{" not in model and prices.price(model) is None:
        kept = job.rules.budget is None
        what = "so its cost will read as zero" if kept else "so its budget cannot be kept, and nothing would be sent"
        yield Problem(
            f"no price is known for model `{model}`, {what}", (*job.builder.path, "model"),
            "check the spelling; a plugin can bring prices (`register_prices`)", warning=kept,
        )  # fmt: skip


def _sinks(job: JobSpec) -> Iterator[Problem]:
    for outlet in job.sinks:
        path = outlet.sink.kwargs.get("path")
        reason = _unwritable(path) if isinstance(path, Path) else ""
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


def _about_source(job: JobSpec, message: str) -> Problem:
    where = "path" if "path" in job.source.kwargs else "type"
    return Problem(message, (*job.source.path, where))


def _version(provider: Component) -> str:
    """The API version that requests will be judged by: configured, or the provider's own default."""
    if "version" in provider.kwargs:
        return str(provider.kwargs["version"])
    declared = Spec.of(provider.factory).parameters.get("version")
    return str(declared.default) if declared and not declared.required else ""


def _listed(columns: frozenset[str]) -> str:
    return f"there are: {', '.join(sorted(columns))}"
