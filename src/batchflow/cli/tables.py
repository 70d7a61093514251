"""Facts as tables for people. Programs get the same facts from `--json`."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from batchflow.cli.figures import count, lately, moment_of, share, span
from batchflow.reports.ledger import RunReport, Tally
from batchflow.reports.runs import Money, RunFacts

WIDTH = 120
"""Columns where no terminal says how many there are."""
LONGEST = 2000
"""Letters of one value that are shown to a person: a PDF in base64 is no reading matter."""
COLORS = {"done": "green", "paused": "yellow", "failed": "red", "canceled": "yellow", "canceling": "yellow"}


def to_stdout(*parts: RenderableType) -> None:
    """Print facts that were asked for."""
    width = None if sys.stdout.isatty() else WIDTH
    _print(Console(highlight=False, width=width), parts)


def to_stderr(*parts: RenderableType) -> None:
    """Print facts that come along with something else."""
    width = None if sys.stderr.isatty() else WIDTH
    _print(Console(stderr=True, highlight=False, width=width), parts)


def _print(console: Console, parts: Sequence[RenderableType]) -> None:
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str | Text))


def runs_table(runs: Sequence[RunFacts]) -> RenderableType:
    """List runs, one a row, and below them what a person should know of each."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("run", "job", "state", "began"):
        table.add_column(heading, no_wrap=True)
    for heading in ("delivered", "in flight", "dead", "cost"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in runs:
        books = run.books
        delivered = f"{books['delivered']:,} of {books['rows']:,}"
        dead = books["dead"] + books["unbuildable"] + books["canceled"]
        numbers = (delivered, f"{books['in_flight']:,}", f"{dead:,}", money(run.money.paid))
        table.add_row(run.short, run.job, state_text(run.standing), lately(run.began), *numbers)
    return Group(table, *(line for run in runs for line in _remarks(run)))


def report_table(report: RunReport) -> RenderableType:
    """Say what came of a run."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in _rows(report):
        table.add_row(name, value)
    watched = (Text(f"{report.run.short}: {one.sentence}") for one in report.watched)
    return Group(Text(), _head(report.run), table, *_remarks(report.run), *watched)


def grid(rows: list[tuple[str, str]]) -> RenderableType:
    """Lay out names and what they stand for."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(f"  {name}", Text(value))
    return table


def request_text(raw: bytes) -> Iterator[RenderableType]:
    """Show a request as a person reads it: settings, then who says what. `--json` has it letter by letter."""
    params = msgspec.json.decode(raw, type=dict[str, Any])
    system, messages = params.pop("system", None), cast("list[dict[str, Any]]", params.pop("messages", []))
    yield grid([(name, value if isinstance(value, str) else _compact(value)) for name, value in params.items()])
    if system is not None:
        yield from _said("system", system)
    for message in messages:
        yield from _said(message["role"], message["content"])


def _said(who: str, content: Any) -> Iterator[RenderableType]:
    yield Text(f"  {who}:", style="dim")
    yield Padding(Text(content if isinstance(content, str) else _compact(content)), (0, 0, 0, 4))


def _compact(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} characters)"


def state_text(state: str) -> Text:
    """Write a run's state in its color."""
    return Text(state, style=COLORS.get(state, "cyan"))


def money(dollars: float) -> str:
    """Write an amount: cents where they matter, more digits where they do not."""
    if dollars == 0 or abs(dollars) >= 1:
        return f"${dollars:,.2f}"
    return f"${dollars:.4f}" if abs(dollars) >= 0.001 else f"${dollars:.6f}"


def _head(run: RunFacts) -> RenderableType:
    return Text.assemble((run.job, "bold"), "  ", (f"run {run.short}", "dim"), "  ", state_text(run.standing))


def _rows(report: RunReport) -> Iterator[tuple[str, str]]:
    books = report.run.books
    yield "records", _records(report.run)
    yield (
        "delivered",
        f"{books['delivered']:,} of {count(books['rows'], 'request')} ({share(books['delivered'], books['rows'])})",
    )
    if waiting := books["waiting"] + books["in_flight"] + books["collected"]:
        yield (
            "under way",
            f"{books['waiting']:,} waiting, {books['in_flight']:,} in flight, {books['collected']:,} collected"
            if waiting
            else "",
        )
    if report.asked_again:
        yield "asked again", f"{sum(tally.count for tally in report.asked_again):,}: {_words(report.asked_again)}"
    dead = books["dead"] + books["unbuildable"] + books["canceled"]
    yield "dead", f"{dead:,}: {_words(report.dead)}" if report.dead else f"{dead:,}"
    for tally in report.dead:
        yield "", f"{tally.word}, for example {tally.example.rstrip(': ')}"
    if report.processing is not None:
        times = report.processing
        yield "processing", f"{count(times.batches, 'batch', 'batches')}, p50 {span(times.p50)}, p95 {span(times.p95)}"
    yield "tokens", f"{books['input_tokens']:,} in, {books['output_tokens']:,} out"
    yield "cost", _cost(report.run.money)
    for number, sink in enumerate(report.sinks):
        yield "" if number else "results", sink


def _records(run: RunFacts) -> str:
    books = run.books
    apart = [f"{books[name]:,} {name}" for name in ("duplicate", "skipped", "unbuildable") if books[name]]
    return ", ".join([f"{books['read']:,} read", *apart])


def _words(tallies: Sequence[Tally]) -> str:
    return ", ".join(f"{tally.word} {tally.count:,}" for tally in tallies)


def _cost(spent: Money) -> str:
    parts = [f"{money(spent.paid)} paid; {money(spent.listed)} at list price"]
    if spent.waste > spent.twice:
        parts.append(f"{money(spent.waste - spent.twice)} of it went into answers that were asked again")
    if spent.twice:
        parts.append(
            f"{money(spent.twice)} of it was paid twice: a batch turned up after its requests had been sent again"
        )
    if spent.budget is not None:
        parts.append(f"budget {money(spent.budget)}")
    return "; ".join(parts)


def _remarks(run: RunFacts) -> Iterator[Text]:
    if run.driver:
        yield Text(
            f"{run.short}: driven by pid {run.driver.pid} on {run.driver.host} since {moment_of(run.driver.since)}"
        )
    for line in filter(None, (run.why, *run.worries)):
        yield Text(f"{run.short}: {line}", style="yellow")
    if not run.balanced:
        yield Text(f"{run.short}: THE BOOKS DO NOT BALANCE. Please report it, with `batchflow ps --json`", style="red")
