"""Random schedules: faults of every kind at random calls, processes that vanish at random events, and what holds at the end.

A failure shrinks to a printed list of faults and of moments at which the process was cut off.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from bench import Bench, problems_of, rules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchflow.builtin.retry import standard
from batchflow.model.errors import BatchflowError
from batchflow.model.state import RunState
from batchflow.sim import FaultPlan

ROWS = 30
RULES = rules(max_requests=12, grace=60.0, patience=20.0)

CALLS = [
    "create:{}:reset_before",
    "create:{}:reset_after",
    "create:{}:status,status=503",
    "create:{}:status,status=429",
    "create:{}:status_after,status=500",
    "create:{}:status_after,status=504,body=html",
    "create:{}:status_after,status=409",
    "create:{}:lookalike,rows=2",
    "create:{}:unlisted,seconds=20",
    "create:{}:hidden,seconds=20",
    "create:{}:credit",
    "create:{}:max_requests,limit=5",
    "create:{}:duration,seconds=200",
    "list:{}:status,status=500",
    "list:{}:status,status=429",
    "list:{}:omit",
    "list:{}:reset_before",
    "list+retrieve:{}:gradual_counts",
    "list+retrieve:{}:unknown_status",
    "all:{}:omit_nulls",
    "retrieve:{}:status,status=404",
    "retrieve:{}:status,status=529",
    "retrieve:{}:reset_after",
    "results:{}:truncate",
    "results:{}:truncate,framing=close",
    "results:{}:reset_body",
    "results:{}:missing_rows,rows=2",
    "results:{}:malformed_rows,rows=2",
    "results:{}:foreign_rows,rows=2",
    "results:{}:duplicate_rows,rows=2",
    "results:{}:gzip",
    "results:{}:status,status=404",
    "results:{}:unknown_result",
]
WORDS = [
    "row:number 2:overloaded",
    "row:number 1:pause_turn",
    "row:20%:server_error",
    "row:number 3:credit",
    "row:number 9:invalid",
]
KINDS = ["batch.drafted", "batch.submitted", "batch.in_doubt", "batch.ended", "batch.collected", "part.delivered"]

calls = st.builds(str.format, st.sampled_from(CALLS), st.integers(1, 5))
cuts = st.tuples(st.sampled_from(KINDS), st.integers(1, 3), st.booleans())
"""The process is cut off at the n-th event of a kind: at once, or having been asked to stop."""


class Cut:
    """Ends a run in the middle."""

    def __init__(self, kind, n, *, softly):
        self._kind = kind
        self._left = n
        self._softly = softly
        self.flow = None
        self.scope = anyio.CancelScope()

    def __call__(self, event):
        self._left -= event.kind == self._kind
        if self._left == 0 and event.kind == self._kind:
            if self._softly:
                self.flow.stop()
            else:
                self.scope.cancel()


async def one_process(bench, cut):
    """Runs the job until it ends, fails or is cut off."""
    job = bench.job(ROWS, rules=RULES, retry=standard(attempts=9))
    try:
        async with bench.flow(on_event=cut or bench.events.append) as flow:
            if cut is None:
                report = await flow.run(job)
            else:
                cut.flow, report = flow, None
                with cut.scope:
                    report = await flow.run(job)
            if report is not None:
                await bench.audit(flow.store, report)
            return report
    except BatchflowError:
        return None


async def story(flags, cut_at):
    with TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        sim = bench.simulate(*flags)
        for kind, n, softly in cut_at:
            await one_process(bench, Cut(kind, n, softly=softly))
        for left in range(12, -1, -1):
            report = await one_process(bench, None)
            if report is not None and report.run.state is RunState.DONE:
                break
            if left == 8:
                sim.set_faults(FaultPlan())
        assert report is not None
        assert report.run.state is RunState.DONE, report.run.why
        assert problems_of(report.books, report.run) == []
        books, stats = report.books, sim.stats()
        assert books["rows"] == ROWS
        assert {result.key for result in bench.good}.isdisjoint(result.key for result in bench.dead)
        assert {result.key for result in [*bench.good, *bench.dead]} == {f"k{n}" for n in range(ROWS)}
        assert stats["requests_accepted"] == ROWS + books["retried"]
        assert books["intents"] >= stats["batches_created"]
        foreign = [batch for batch in sim.batches if batch.fate.foreign]
        assert all(batch.cancel_at is None for batch in foreign)


def run(flags, cut_at):
    anyio.run(story, flags, cut_at)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(calls | st.sampled_from(WORDS), max_size=4), st.lists(cuts, max_size=2))
def test_a_few_random_schedules_end_with_everything_once(flags, cut_at):
    run(flags, cut_at)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(calls | st.sampled_from(WORDS), min_size=2, max_size=8), st.lists(cuts, max_size=4))
def test_many_random_schedules_end_with_everything_once(flags, cut_at):
    run(flags, cut_at)
