"""What a person sees while runs go on."""

import io

import pytest
from rich.console import Console

from batchflow.cli.figures import share, size, span
from batchflow.cli.progress.lines import Lines
from batchflow.cli.progress.panel import _panel
from batchflow.cli.progress.words import sentence
from batchflow.model.money import DOLLAR
from batchflow.model.state import COUNTERS, Event, Run, RunState
from batchflow.reports.ledger import times
from batchflow.reports.pulse import Pulse


def event(kind, subject="", text=""):
    return Event(id="e", run="r" * 32, at=0.0, kind=kind, subject=subject, text=text)


def pulse(**books):
    run = Run(id="0123456789abcdef", job="triage", state=books.pop("state", RunState.RUNNING), why=books.pop("why", ""))
    told = {"worries": books.pop("worries", ()), "budget": books.pop("budget", None)}
    counters = dict.fromkeys(COUNTERS, 0) | books
    return Pulse(job="triage", run=run, books=counters, flying=3, processing=times([60.0, 120.0, 240.0]), **told)


def drawn(pulse, width=100):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(_panel(pulse, 42.0))
    return console.file.getvalue()


def test_a_panel_shows_books_quality_times_and_money():
    said = drawn(pulse(read=100, rows=100, in_flight=50, delivered=45, dead=5, paid=DOLLAR, listed=2 * DOLLAR))
    for part in ("triage", "0123456789abcdef", "running", "42 s", "read 100", "in flight 50", "delivered 45", "dead 5"):
        assert part in said
    assert "90.0% good" in said
    assert "3 batches at work" in said
    assert "a batch takes 2m 00s" in said
    assert "cost $1.00, list price $2.00" in said


def test_a_panel_shows_the_budget_with_what_is_bound():
    said = drawn(pulse(paid=DOLLAR, reserved=2 * DOLLAR, budget=10 * DOLLAR))
    assert "$3.00 of $10.00 spent or bound" in said


def test_a_panel_shows_why_a_run_waits_for_a_person():
    said = drawn(pulse(state=RunState.PAUSED, why="no credit", worries=("batch b1 is in doubt: the reply was lost",)))
    assert "no credit" in said
    assert "in doubt: the reply was lost" in said


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_panel_keeps_within_the_terminal(width):
    said = drawn(pulse(read=10_000_000, rows=10_000_000, in_flight=9_999_999, budget=DOLLAR), width)
    assert max(map(len, said.splitlines())) <= width


def test_lines_tell_changes_and_leave_routine_out(capsys):
    lines = Lines()
    lines.event("triage", event("batch.drafted", "b" * 32, "5 requests"))
    lines.event("triage", event("batch.submitted", "b" * 32, "5 requests as\nmsgbatch_1"))
    lines.show([pulse()])
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("triage: batch bbbbbbbbbbbbbbbb submitted: 5 requests as msgbatch_1")


def test_a_part_is_told_without_its_long_name():
    assert sentence(event("part.parked", "run/batch/sink/0", "disk full")) == "part parked: disk full"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.26, "0.3 s"),
        (9.99, "10.0 s"),
        (42, "42 s"),
        (59.6, "1m 00s"),
        (750, "12m 30s"),
        (11_100, "3h 05m"),
        (187_200, "2d 4h"),
    ],
)
def test_spans_are_written_as_people_say_them(seconds, written):
    assert span(seconds) == written


def test_a_failure_is_never_rounded_away():
    assert share(9_999, 10_000) == ">99.9%"
    assert share(999_999, 1_000_000) == ">99.9%"
    assert share(10, 10) == "100%"
    assert share(0, 0) == "-"
    assert share(1, 3) == "33.3%"


def test_sizes():
    assert size(12_345) == "12 kB"
    assert size(64_000_000) == "64.0 MB"
    assert size(2_500_000_000) == "2.5 GB"
