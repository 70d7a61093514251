"""Showing what a run would send and cost."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import RenderableType
from rich.text import Text

from batchflow.cli import failures
from batchflow.cli.environment import Keyless
from batchflow.cli.exits import Exit
from batchflow.cli.figures import count, size
from batchflow.cli.opening import given, in_one_round, kept, read_jobs, refuse_unsound, split_words
from batchflow.cli.output import facts
from batchflow.cli.tables import grid, money, request_text, to_stdout
from batchflow.config.build import build, build_provider
from batchflow.config.job import JobSpec
from batchflow.config.plugging import plugins_for
from batchflow.engine.pricing import price_books
from batchflow.extend.facade import Plugins
from batchflow.model.errors import PluginError
from batchflow.reports.forecast import Forecast, Forecaster, Outlook
from batchflow.stages.overlap import Needed
from batchflow.stages.wall import of_job

VERDICTS = {
    "none": "none set: nothing stops the run before it is done. `budget: {run: 20.00}` would",
    "fits": "fits: even the highest cost is below it",
    "may run out": "may run out: the run pauses when the next batch could cost more than is left, and keeps every row",
    "cannot be kept": "cannot be kept: no price is known for a model, so the run would stop before it sends a batch of it",
    "too small": "too small: not even one batch fits into it, so the run would pause before it sends anything",
}


async def plan(words: Sequence[str], *, json: bool, no_plugins: bool = False) -> Exit:
    """Walk each job's source and say what a run would do. A copy of standard input is kept only while it is looked at."""
    file, names = split_words(words)
    plugins = plugins_for(file, off=no_plugins)
    with TemporaryDirectory(prefix="batchflow-") as spool:
        async with in_one_round(file, names, plugins, Keyless()):
            read = read_jobs(file, names, plugins, Keyless())
            forecasts: list[Forecast] = []
            left_out = [read.left_out] if read.left_out else []
            for spec in read.jobs.values():
                try:
                    forecasts.append(await _one(spec, plugins, Path(spool) / spec.name, kept(read, None)))
                except PluginError as error:
                    left_out.append(of_job(spec.name, error))
            if not forecasts:
                raise left_out.pop(0)
    if json:
        facts(forecasts)
    else:
        for forecast in forecasts:
            to_stdout(*_told(forecast))
    for error in left_out:
        failures.say(error)
    return Exit.PLUGIN if left_out else Exit.DELIVERED


async def _one(spec: JobSpec, plugins: Plugins, spool: Path, kept: Sequence[Needed]) -> Forecast:
    parts = build(spec, given(plugins, spool))
    await refuse_unsound(spec, parts, plugins, kept)
    prices = price_books(plugins)
    forecaster = Forecaster(spec.name, parts, build_provider(spec, {}), prices)
    async for records in forecaster.walk():
        _say_progress(spec.name, records)
    _say_progress(spec.name, None)
    return forecaster.forecast()


def _say_progress(job: str, records: int | None) -> None:
    """Keep one line of a terminal up to date; other readers get nothing that would have to be cleared away."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K" if records is None else f"\r{job}: {records:,} records read")
        sys.stderr.flush()


def _told(found: Forecast) -> Iterator[RenderableType]:
    yield Text.assemble((found.job, "bold"), "  ", ("nothing was sent, nothing was written", "dim"))
    yield grid(list(_rows(found)))
    if found.sample is not None:
        yield Text(f"\nfirst request ({found.sample_key})", style="dim")
        yield from request_text(bytes(found.sample))


def _rows(found: Forecast) -> Iterator[tuple[str, str]]:
    apart = [
        f"{number:,} {name}"
        for name, number in (
            ("unreadable", found.unreadable),
            ("cannot become requests", found.unbuildable),
            ("skipped by the builder", found.skipped),
            ("with a key that came before (not sent, yet counted below)", found.duplicates),
        )
        if number
    ]
    yield "records", ", ".join([f"{found.records:,}", *apart])
    for example in found.examples:
        yield "", example
    batches = count(found.batches, "batch", "batches")
    yield "requests", f"{found.requests:,} in about {batches}, {size(found.bytes)}"
    for model in found.models:
        yield model.model, _outlook(model)
    yield "cost", f"at most about {money(found.at_most)}; {money(found.list_at_most)} at list price"
    yield "", "an estimate: tokens in are bytes / 3, tokens out are all that max_tokens allows; retries come on top"
    allowed = "" if found.budget is None else f"{money(found.budget)}: "
    yield "budget", f"{allowed}{VERDICTS[found.verdict]}"


def _outlook(model: Outlook) -> str:
    unknown = "" if model.priced else "; NO PRICE IS KNOWN, counted as $0"
    return f"about {model.input_tokens:,} tokens in, at most {model.max_output_tokens:,} out{unknown}"
