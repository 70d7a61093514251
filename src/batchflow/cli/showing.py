"""Showing one record to a person or a program."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from batchflow.cli.environment import Keyless
from batchflow.cli.exits import Exit
from batchflow.cli.figures import count, moment_of
from batchflow.cli.looking import opened_store
from batchflow.cli.output import facts
from batchflow.cli.place import found, moved_to
from batchflow.cli.stores import opened_objects
from batchflow.cli.tables import grid, money, request_text, to_stdout
from batchflow.config.build import build_provider
from batchflow.config.load import load
from batchflow.config.plugging import plugins_for
from batchflow.engine.pricing import price_books
from batchflow.extend.facade import Plugins
from batchflow.extend.signature import Spec
from batchflow.model.errors import UserError
from batchflow.model.state import Run
from batchflow.ports.blobs import BlobStore
from batchflow.ports.provider import Provider
from batchflow.ports.state import StateStore
from batchflow.reports.housekeeping import cleared, refuse_cleared
from batchflow.reports.paging import every
from batchflow.reports.runs import SHORT, find_run
from batchflow.reports.shown import shown
from batchflow.reports.trail import Attempt, Tracker, Trail

NEWEST = 20
"""Runs that are looked through when none is named."""


async def show(key: str, *, wanted: str, json: bool, state: Path | None) -> Exit:
    """Follow a record through the run that is meant, or the newest that knows it."""
    place = found(state)
    loaded: dict[str, Plugins] = {}
    async with opened_objects(place) as blobs, opened_store(place, looking=True) as store:
        looked, gone = 0, list[Run]()
        async for run in _runs(store, wanted):
            looked += 1
            if not wanted and await cleared(store, run) is not None:
                gone.append(run)
                continue
            plugins = loaded[run.file] = loaded.get(run.file) or plugins_for(moved_to(Path(run.file), place))
            trail = await _tracker(store, blobs, plugins, run).follow(run, key)
            if trail is not None:
                facts(trail) if json else to_stdout(*_told(trail))
                return Exit.DELIVERED
    where = f"run {wanted}" if wanted else count(looked - len(gone), "run")
    unseen = f"; what was in {_named(gone)} was removed by `batchflow gc`" if gone else ""
    raise UserError(
        f"no record has the key `{key}` in {where}{unseen}",
        hint="keys are compared letter by letter; `batchflow results` lists those that were delivered",
    )


def _named(runs: list[Run]) -> str:
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    return f"run {runs[0].id[:SHORT]}{more}"


async def _runs(store: StateStore, wanted: str) -> AsyncGenerator[Run]:
    if wanted:
        run = await find_run(store, wanted)
        await refuse_cleared(store, run)
        yield run
        return
    looked = 0
    async for run in every(store, Run, {}, newest=True):
        looked += 1
        if looked > NEWEST:
            return
        yield run


def _tracker(store: StateStore, blobs: BlobStore, plugins: Plugins, run: Run) -> Tracker:
    prices = price_books(plugins)
    return Tracker(store, blobs, reader(plugins, run), prices)


def reader(plugins: Plugins, run: Run) -> Provider:
    """Make the provider that can read a run's answers. It needs no key, for nothing is sent.

    One that cannot be made without options is given those of the job file, with something in the place of its secrets.
    """
    name = shown(run.summary).provider.type
    factory = plugins.provider(name)
    try:
        if run.file and any(option.required for option in Spec.of(factory).parameters.values()):
            spec = load(Path(run.file), plugins, Keyless(), only=(run.job,)).jobs[run.job]
            return build_provider(spec, {})
        return factory()
    except (TypeError, ValueError) as error:
        raise UserError(
            f"provider `{name}` cannot be made to read the answers of run {run.id[:SHORT]}: {error}"
        ) from error


def _told(trail: Trail) -> Iterator[RenderableType]:
    yield Text.assemble((trail.key, "bold"), "  ", trail.job, "  ", (f"run {trail.run[:SHORT]}", "dim"))
    carried = ", ".join(f"{name}={value}" for name, value in trail.carried.items())
    yield grid([("from", f"{trail.origin}{f'   carried: {carried}' if carried else ''}"), ("cost", _cost(trail))])
    for attempt in trail.attempts:
        yield _attempt(attempt)
    last = trail.attempts[-1]
    if last.request is not None:
        yield Text("\nrequest" if len(trail.attempts) == 1 else "\nlast request", style="dim")
        yield from request_text(bytes(last.request))
    if last.text:
        yield Text("\nanswer", style="dim")
        yield Padding(Text(last.text), (0, 0, 0, 4))


def _attempt(attempt: Attempt) -> RenderableType:
    word = f"{attempt.word}, {attempt.fate}" if attempt.word and attempt.word != "ok" else attempt.word or attempt.fate
    rows = [("batch", _batch(attempt))]
    if attempt.error:
        rows.append(("error", attempt.error))
    if attempt.input_tokens or attempt.output_tokens:
        spent = f"{money(attempt.cost)}, {money(attempt.list_cost)} at list price"
        rows.append(("tokens", f"{attempt.input_tokens:,} in, {attempt.output_tokens:,} out: {spent}"))
    for number, arrival in enumerate(attempt.arrivals):
        why = f": {arrival.why}" if arrival.why else ""
        state = "" if arrival.state == "done" else f" ({arrival.state}{why})"
        rows.append(("" if number else "went to", f"{arrival.where}{state}"))
    title = "never asked" if attempt.attempt == 0 else f"attempt {attempt.attempt}"
    return Group(Text.assemble("\n", (title, "bold"), "  ", (word, _color(attempt.fate))), grid(rows))


def _batch(attempt: Attempt) -> str:
    remote = f" ({attempt.remote})" if attempt.remote else ""
    sent = f", sent {moment_of(attempt.sent)}" if attempt.sent else ""
    ended = f", ended {moment_of(attempt.ended)}" if attempt.ended else ""
    return f"{attempt.batch[:SHORT]}{remote}, row {attempt.row}{sent}{ended}"


def _cost(trail: Trail) -> str:
    tries = count(len(trail.attempts), "attempt")
    return f"{money(trail.cost)} in {tries}; {money(trail.list_cost)} at list price"


def _color(fate: str) -> str:
    return {"good": "green", "dead": "red", "asked again": "yellow"}.get(fate, "cyan")
