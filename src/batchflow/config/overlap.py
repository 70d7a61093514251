"""Which files a job file needs, and which sinks of its jobs would write over them."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from anyio.to_thread import run_sync

from batchflow.config.identity import files_of
from batchflow.config.job import Component, Draft, JobFile
from batchflow.config.load import Survey
from batchflow.config.references import REFERENCE
from batchflow.extend.facade import Plugins
from batchflow.model.errors import PluginError
from batchflow.model.problem import Problem
from batchflow.model.target import Target
from batchflow.stages.overlap import KEPT, Needed, Written, covered_by, needed_in, overlaps, targets_of

PLACES = ("path", "url")
"""What the options are called that say where a sink writes."""


async def clashes(
    job: Draft, source: object, sinks: Sequence[object], *, plugins: Plugins, kept: Sequence[Needed]
) -> list[Problem]:
    """Find sinks that would write over each other, over what the job reads, or over what it or batchflow needs."""
    made = [(outlet, sink) for outlet, sink in zip(job.sinks, sinks, strict=True) if sink is not None]
    within = job.rules.plugin_timeout
    wrong: list[Problem] = []
    written: list[Written] = []
    for outlet, sink in made:
        try:
            written.append(Written(outlet.name, await _targets(outlet.sink, sink, within)))
        except PluginError as error:
            written.append(Written(outlet.name, ()))
            wrong.append(_about(outlet.sink, error))
    covered: Collection[Target] = ()
    try:
        covered = await _covered(job.source, source, [one for sink in written for one in sink.targets], within)
    except PluginError as error:
        wrong += [_about(job.source, error)] if job.source else []
    needed = [*_files(job), *(Needed(path, "a plugin of the job") for path in plugins.files), *kept]
    found = await overlaps(written, covered, needed)
    return wrong + [
        Problem(overlap.message, _place(outlet.sink), overlap.hint)
        for (outlet, _), overlap in zip(made, found, strict=True)
        if overlap
    ]


def kept_for(file: JobFile | Survey, place: Path) -> Sequence[Needed]:
    """Name what batchflow keeps for the jobs of a file: their state folder, and stores that are elsewhere."""
    options = [value for part in file.stores.parts.values() for value in part.kwargs.values()]
    stores = [Needed(path, KEPT) for path in options if isinstance(path, Path)]
    return [*needed_in(place, file.path.parent), *stores]


def _files(job: Draft) -> Iterator[Needed]:
    yield Needed(job.file, "the job file")
    named = [
        *files_of(job.tree.plain()),
        *(match[2] for match in REFERENCE.finditer(job.page.text) if match[1] == "file"),
    ]
    for name in named:
        yield Needed(job.base / Path(name).expanduser(), f"{name}, which the job file names")


async def _targets(component: Component, sink: object, within: float) -> Sequence[Target]:
    said = await targets_of(sink, within=within)
    path = component.kwargs.get("path")
    if said is not None or not isinstance(path, Path):
        return said or ()
    return (Target(str(path), shared="table" in component.kwargs),)


async def _covered(
    component: Component | None, source: object, targets: Sequence[Target], within: float
) -> Collection[Target]:
    said = await covered_by(source, targets, within=within)
    path = component.kwargs.get("path") if component else None
    if said is not None or not isinstance(path, Path):
        return said or ()
    return await run_sync(lambda: [target for target in targets if _is_read(path, target)])


def _is_read(path: Path, target: Target) -> bool:
    return not target.shared and target.leads_to(path)


def _about(component: Component, error: PluginError) -> Problem:
    return Problem(error.message, (*component.path, "type"), error.hint, plugin=True)


def _place(sink: Component) -> tuple[str | int, ...]:
    return (*sink.path, next((name for name in PLACES if name in sink.kwargs), "type"))
