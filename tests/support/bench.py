"""A bench to run whole jobs on: real files, a simulator over real HTTP, and a clock on which waiting takes no time.

`Bench.run` is what a user does; `Bench.check` is what the promises say must hold after it, whatever went wrong.
"""

import asyncio
from collections import Counter
from functools import cache
from importlib.metadata import entry_points
from unittest.mock import patch

import msgspec
from jumping import LoopClock, LoopSimulator

from batchflow import Batchflow, BatchRules, Job, Rules, SubmitRules, To
from batchflow.builtin.anthropic.provider import anthropic
from batchflow.builtin.retry import standard
from batchflow.extend import intake
from batchflow.machine.batch import RESERVING
from batchflow.model.rules import RetryRules
from batchflow.model.state import Batch, BatchState, Decision, Delivery, DeliveryState, Entry, Intent, RunState, Setback
from batchflow.model.units import Secret
from batchflow.reports.agreement import Looked, laws
from batchflow.sim import FaultPlan

KEY = "sk-ant-bench"
GRACE = 600.0
PAGE = 1000

installed = cache(entry_points)
origin_of = cache(intake._origin_of)
"""What is installed stays so: to look, and to read whose it is, is half of what it costs to make an app."""


def rules(*, max_requests=100, grace=GRACE, budget=None, carry=(), after=1.0, **submit):
    return Rules(
        batch=BatchRules(max_requests=max_requests),
        submit=SubmitRules(grace=grace, **submit),
        retry=RetryRules(after=after),
        budget=budget,
        carry=tuple(carry),
    )


def ask(record, **more):
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": f"Please summarise: {record['text']}"}],
        **more,
    }


def records(count, start=0):
    return [{"id": f"k{n}", "text": f"claim number {n}: the pipe burst", "n": n} for n in range(start, start + count)]


class Bench:
    """One state folder, one server, and what was delivered."""

    def __init__(self, folder):
        self.folder = folder
        self.sims = []
        self.events = []
        self.good = []
        self.dead = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        for sim in self.sims:
            await sim.aclose()

    @property
    def sim(self):
        return self.sims[-1]

    def simulate(self, *flags, **options):
        """Starts a server whose batches take half a minute, more or less."""
        settings = {"duration": 30.0, "cancel_delay": 10.0, "seed": 7} | options
        self.sims.append(LoopSimulator(faults=FaultPlan.parse(flags), **settings).start())
        return self.sim

    def provider(self, **options):
        return anthropic(**{"api_key": Secret(KEY), "base_url": self.sim.url} | options)

    def flow(self, **options):
        made = {"retry": standard(), "clock": LoopClock(asyncio.get_running_loop()), "on_event": self.events.append}
        made |= options
        made["provider"] = options.get("provider") or self.provider()
        with patch.multiple(intake, entry_points=installed, _origin_of=origin_of):
            return Batchflow(self.folder / "state", **made)

    def job(self, rows=20, **options):
        """Declares a job over so many records, or these, that keeps what it is given."""
        given = records(rows) if isinstance(rows, int) else rows
        made = {
            "name": "job",
            "source": lambda: iter(given),
            "request": ask,
            "sinks": [To(sink=self.good.extend, name="good"), To(sink=self.dead.extend, on="dead", name="dead")],
            "rules": rules(),
        }
        return Job(**{**made, **options})

    async def run(self, job, *, wait=None, new=False, **options):
        """Opens everything, runs the job, closes everything: one command typed."""
        async with self.flow(**options) as flow:
            report = await flow.run(job, wait=wait, new=new)
            await self.audit(flow.store, report)
            return report

    async def audit(self, store, report):
        """Holds the books against the entities they are about."""
        assert not problems_of(report.books, report.run), dict(report.books)
        assert await recount(store, report.run.id) == {name: report.books[name] for name in RECOUNTED}
        assert [wrong.sentence async for wrong in laws(store, report.run, Looked(), driven=False)] == []

    def check(self, report, *, asked=None, good=None, dead=0):
        """Asks what must hold at the end: everything once, paid once, and nothing left over."""
        assert report.run.state is RunState.DONE, (report.run.state, report.run.why)
        keys = Counter(result.key for result in [*self.good, *self.dead])
        assert [key for key, times in keys.items() if times > 1] == []
        assert len(self.dead) == dead, [(result.key, result.word, result.error) for result in self.dead]
        if good is not None:
            assert len(self.good) == good
        assert report.books["read"] == good + dead if good is not None else True
        if asked is not None:
            assert self.sim.stats()["requests_accepted"] == asked
        assert report.books["delivered"] + report.books["dead"] == report.books["rows"]

    def told(self, kind):
        return [event for event in self.events if event.kind == kind]


def problems_of(books, run):
    """Says which of the identities of the books does not hold."""
    problems = []
    if books["read"] != books["skipped"] + books["duplicate"] + books["unbuildable"] + books["built"]:
        problems.append("read")
    places = ("waiting", "in_flight", "collected", "delivered", "dead", "canceled")
    if books["rows"] != sum(books[place] for place in places):
        problems.append("rows")
    if run.state in {RunState.DONE, RunState.CANCELED}:
        problems += [name for name in ("waiting", "in_flight", "collected", "reserved") if books[name]]
    return problems + [name for name, n in books.items() if n < 0]


RECOUNTED = (
    "waiting",
    "in_flight",
    "collected",
    "delivered",
    "reserved",
    "intents",
    "batches",
    "paid",
    "waste",
    "twice",
)


async def recount(store, run):
    """Counts again, from the entities themselves, what the books say."""
    batches = await every(store, Batch, {"run": run})
    setbacks = await every(store, Setback, {"run": run, "decision": Decision.AGAIN, "packed_in": ""})
    entries = await every(store, Entry, {"run": run})
    rows = Counter()
    for batch in batches:
        rows[batch.state] += batch.count
    return {
        "waiting": rows[BatchState.DRAFTED] + sum(setback.count for setback in setbacks),
        "in_flight": sum(rows[state] for state in RESERVING),
        "collected": sum(batch.good for batch in batches if batch.state is BatchState.COLLECTED),
        "delivered": sum(batch.good for batch in batches if batch.state is BatchState.DELIVERED),
        "reserved": sum(batch.reserved for batch in batches if batch.state in RESERVING),
        "intents": len(await every(store, Intent, {"run": run})),
        "batches": sum(batch.sequence is not None for batch in batches),
        "paid": sum(entry.paid for entry in entries if entry.kind == "settle"),
        "waste": sum(entry.paid for entry in entries if entry.kind != "settle"),
        "twice": sum(entry.paid for entry in entries if entry.kind == "twice"),
    }


async def every(store, kind, where):
    """Lists all, page by page."""
    found, after, page = [], "", [...] * PAGE
    while len(page) == PAGE:
        page = await store.find(kind, where, after=after, limit=PAGE)
        found += page
        after = found and (found[-1].token if isinstance(found[-1], Intent) else found[-1].id)
    return found


async def parts_due(store, run):
    return await every(store, Delivery, {"run": run, "state": [DeliveryState.DUE, DeliveryState.PARKED]})


def told(value):
    return msgspec.to_builtins(value)
