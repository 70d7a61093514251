"""Progress at a terminal: one panel a run, redrawn in place; only what a person should not miss scrolls by above it."""

import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batchflow.cli.figures import count, share, span
from batchflow.cli.progress.words import NOTABLE, sentence
from batchflow.cli.tables import state_text
from batchflow.machine.run import standing
from batchflow.model.money import dollars
from batchflow.model.state import Event
from batchflow.reports.ledger import success_rate
from batchflow.reports.pulse import Pulse
from batchflow.reports.runs import SHORT

BAR = 32
COUNTS = ("read", "waiting", "in_flight", "delivered", "dead")


class Panel:
    """Draws the panels of all runs of a command."""

    every = 0.5

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._begun = time.monotonic()
        self._said = ""
        self._live.start()

    def event(self, job: str, event: Event) -> None:
        """Print what a person should not miss; the same thing once, however often it comes in a row."""
        if event.kind in NOTABLE:
            text = f"{job}: {sentence(event)}"
            if text != self._said:
                self._said = text
                self._live.console.print(Text(text, style="yellow"))

    def show(self, pulses: Sequence[Pulse]) -> None:
        """Draw anew."""
        elapsed = time.monotonic() - self._begun
        self._live.update(Group(*(_panel(pulse, elapsed) for pulse in pulses)))

    def say(self, text: str) -> None:
        """Print something above the panels."""
        self._live.console.print(Text(text, style="bold"))

    def close(self) -> None:
        """Stop drawing; the report that follows takes the panel's place."""
        self._live.stop()


def _panel(pulse: Pulse, elapsed: float) -> RenderableType:
    parts: list[RenderableType] = [_head(pulse, elapsed), _counts(pulse), _bar(pulse)]
    if quality := _quality(pulse):
        parts.append(Text("   ".join(quality)))
    parts.append(_money(pulse))
    parts += [Text(worry, style="yellow") for worry in pulse.worries[:3]]
    if pulse.run.why and not pulse.run.cancel:
        parts.append(Text(pulse.run.why, style="yellow"))
    head, *rest = parts
    return Group(head, *(Padding(part, (0, 0, 0, 2), expand=False) for part in rest))


def _head(pulse: Pulse, elapsed: float) -> RenderableType:
    line = Table.grid(expand=False, padding=(0, 2))
    line.add_row(
        Text(pulse.job, style="bold"),
        Text(pulse.run.id[:SHORT], style="dim"),
        state_text(standing(pulse.run)),
        Text(span(elapsed), style="dim"),
    )
    return line


def _counts(pulse: Pulse) -> RenderableType:
    line = Text()
    for name in COUNTS:
        number = pulse.books[name]
        style = "red" if name == "dead" and number else "bold"
        line.append(f"{name.replace('_', ' ')} ").append(f"{number:,}", style=style).append("   ")
    if pulse.books["unbuildable"]:
        line.append("unbuildable ").append(f"{pulse.books['unbuildable']:,}", style="red")
    return line


def _bar(pulse: Pulse) -> RenderableType:
    books = pulse.books
    ended = books["delivered"] + books["dead"] + books["canceled"]
    line = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=books["rows"] or 1, completed=ended, width=BAR)
    done = share(ended, books["rows"]) if pulse.run.read_all else "still reading"
    line.add_row(bar, done, f"{count(pulse.flying, 'batch', 'batches')} at work" if pulse.flying else "")
    return line


def _quality(pulse: Pulse) -> list[str]:
    """Say how good the answers are, and how long a batch takes: nothing before the first has come."""
    rate = success_rate(pulse.books)
    said = [] if rate is None else [f"{100 * rate:.1f}% good"]
    if pulse.processing is not None:
        said.append(f"a batch takes {span(pulse.processing.p50)} (p95 {span(pulse.processing.p95)})")
    return said


def _money(pulse: Pulse) -> RenderableType:
    books = pulse.books
    line = Table.grid(padding=(0, 2))
    cells: list[RenderableType] = [f"cost {dollars(books['paid'])}, list price {dollars(books['listed'])}"]
    if pulse.budget is not None:
        bound = books["paid"] + books["reserved"]
        cells.append(ProgressBar(total=pulse.budget or 1, completed=min(bound, pulse.budget), width=BAR // 2))
        cells.append(f"{dollars(bound)} of {dollars(pulse.budget)} spent or bound")
    line.add_row(*cells)
    return line
