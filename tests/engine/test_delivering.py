"""Two sinks, one of them ill; parts that wait, and are given once."""

from collections import Counter

import msgspec
import pytest
from bench import parts_due, rules

from batchflow import To
from batchflow.builtin.sinks.jsonl import jsonl
from batchflow.builtin.sinks.sqlite import sqlite
from batchflow.engine.ids import uuid7
from batchflow.model.change import Put
from batchflow.model.errors import SinkError, SinkRefused, StoreUnavailable
from batchflow.model.state import DeliveryState, RunState, Wish
from batchflow.model.words import Word


class Ill:
    """A sink that fails so many times, after having taken some rows, and then works."""

    promise = "keyed"

    def __init__(self, failures, error=None):
        self.failures = failures
        self.error = error or SinkError("the disk is full")
        self.rows = {}
        self.names = Counter()
        self.opened = []
        self.closed = 0

    async def open(self, context, last):
        self.opened.append((context.fresh, last))

    async def write(self, part):
        self.names[part.name] += 1
        async for results in part.rows:
            self.rows |= {result.key: result for result in results}
            if self.failures:
                self.failures -= 1
                raise self.error
        return {"part": part.name}

    async def close(self):
        self.closed += 1


def sinks(bench, ill):
    return [To(sink=bench.good.extend, name="good"), To(sink=ill, name="ill")]


async def test_a_sink_that_recovers_gets_everything_and_holds_up_nobody(bench):
    bench.simulate()
    ill = Ill(3)
    report = await bench.run(bench.job(30, sinks=sinks(bench, ill), rules=rules(max_requests=10)))
    bench.check(report, asked=30, good=30)
    assert len(ill.rows) == 30
    assert len(bench.told("part.failed")) == 3


async def test_a_sink_that_stays_ill_parks_its_parts_while_the_other_goes_on(bench):
    bench.simulate()
    ill = Ill(1000)
    report = await bench.run(bench.job(30, sinks=sinks(bench, ill), rules=rules(max_requests=10)))
    assert (report.run.state, report.run.word) == (RunState.PAUSED, Word.SINK_ERROR)
    assert "the disk is full" in report.run.why
    assert len(bench.good) == report.books["collected"] == 30
    ill.failures = 0
    report = await bench.run(bench.job(30, sinks=sinks(bench, ill), rules=rules(max_requests=10)))
    bench.check(report, asked=30, good=30)
    assert len(ill.rows) == 30


async def test_an_error_that_time_does_not_mend_parks_at_once(bench):
    bench.simulate()
    never = SinkRefused("no such column", hint="add it")
    report = await bench.run(bench.job(10, sinks=sinks(bench, Ill(1000, never))))
    assert report.run.state is RunState.PAUSED
    assert "no such column (add it)" in report.run.why
    assert not bench.told("part.failed")
    async with bench.flow() as flow:
        (part,) = await parts_due(flow.store, report.run.id)
    assert (part.state, part.attempts) == (DeliveryState.PARKED, 1)


async def test_a_foreign_error_in_a_sink_is_laid_at_its_door(bench):
    bench.simulate()
    report = await bench.run(bench.job(10, sinks=sinks(bench, Ill(1000, KeyError("tenant")))))
    assert report.run.state is RunState.PAUSED
    assert "Ill failed while it wrote part" in report.run.why
    assert "tenant" in report.run.why


class Whole(Ill):
    """A sink that is told when it has everything, and writes down what it had then."""

    def __init__(self, failures=0, error=None):
        super().__init__(0)
        self.unready = failures
        self.problem = error or SinkError("the manifest cannot be written")
        self.whole = []

    async def complete(self):
        if self.unready:
            self.unready -= 1
            raise self.problem
        self.whole.append(len(self.rows))


async def test_a_sink_is_told_once_that_it_has_everything(bench):
    bench.simulate()
    whole = Whole()
    report = await bench.run(bench.job(30, sinks=sinks(bench, whole), rules=rules(max_requests=10)))
    bench.check(report, asked=30, good=30)
    assert whole.whole == [30]


@pytest.mark.parametrize("error", [SinkError("the manifest cannot be written"), KeyError("tenant")])
async def test_a_sink_that_cannot_be_completed_pauses_the_run_and_is_told_again(bench, error):
    bench.simulate()
    whole = Whole(1, error)
    job = bench.job(30, sinks=sinks(bench, whole), rules=rules(max_requests=10))
    report = await bench.run(job)
    assert (report.run.state, report.run.word) == (RunState.PAUSED, Word.SINK_ERROR)
    assert "sink ill holds every result, but could not be completed" in report.run.why
    assert (len(whole.rows), whole.whole) == (30, [])
    report = await bench.run(job)
    bench.check(report, asked=30, good=30)
    assert whole.whole == [30]


async def test_a_canceled_run_is_not_whole(bench):
    bench.simulate()
    whole = Whole(1)
    job = bench.job(30, sinks=sinks(bench, whole), rules=rules(max_requests=10))
    report = await bench.run(job)
    async with bench.flow() as flow:
        await flow.store.commit((Put(Wish(id=uuid7(), run=report.run.id, verb="cancel", at=0.0)),))
    report = await bench.run(job)
    assert report.run.state is RunState.CANCELED
    assert whole.whole == []


async def test_a_sink_whose_run_died_before_it_was_called_done_is_told_again(bench):
    bench.simulate()
    whole = Whole()
    job = bench.job(30, sinks=sinks(bench, whole), rules=rules(max_requests=10))
    async with bench.flow() as flow:
        commit = flow.store.commit

        async def dies(change):
            if "run.done" in repr(change):
                raise StoreUnavailable("the power is cut")
            await commit(change)

        flow.store.commit = dies
        with pytest.raises(StoreUnavailable):
            await flow.run(job)
    report = await bench.run(job)
    bench.check(report, asked=30, good=30)
    assert whole.whole == [30, 30]


async def test_a_sink_gets_its_last_receipt_back_and_is_closed_each_time(bench):
    bench.simulate()
    ill = Ill(0)
    job = bench.job(30, sinks=sinks(bench, ill), rules=rules(max_requests=10, in_flight=1))
    async with bench.flow() as flow:
        flow._on_event = lambda event: flow.stop() if event.kind == "part.delivered" else None
        await flow.run(job)
    done = list(ill.names)
    assert done
    report = await bench.run(job)
    bench.check(report, asked=30, good=30)
    assert ill.opened[0] == (True, None)
    fresh, last = ill.opened[1]
    assert not fresh
    assert last["part"] in done
    assert ill.closed == 2


async def test_dead_letters_and_answers_go_to_those_who_want_them(bench):
    bench.simulate("row:number 3:invalid", "row:number 4:refusal")
    everything = []
    job = bench.job(10, sinks=[*bench.job().sinks, To(sink=everything.extend, on="all", name="all")])
    report = await bench.run(job)
    bench.check(report, asked=10, good=8, dead=2)
    assert Counter(result.key for result in everything) == Counter(f"k{n}" for n in range(10))


async def test_rows_come_in_the_order_of_the_source(bench):
    bench.simulate()
    await bench.run(bench.job(100, rules=rules(max_requests=1000)))
    assert [result.key for result in bench.good] == [f"k{n}" for n in range(100)]


async def test_rows_that_do_not_fit_the_memory_come_in_any_order_but_all(bench):
    bench.simulate()
    report = await bench.run(bench.job(400, rules=rules(max_requests=400)), memory=5_000)
    bench.check(report, asked=400, good=400)


async def test_files_and_tables_hold_each_row_once(bench):
    bench.simulate("row:10%:overloaded", "row:number 7:invalid")

    def job():
        return bench.job(
            60,
            rules=rules(max_requests=10),
            sinks=[
                To(sink=jsonl(path=bench.folder / "out.jsonl"), name="file"),
                To(sink=sqlite(path=bench.folder / "out.db", table="answers"), name="table"),
                To(sink=jsonl(path=bench.folder / "dead.jsonl"), on="dead", name="dead"),
            ],
        )

    await bench.run(job(), wait=0.0)
    report = await bench.run(job())
    assert report.run.state is RunState.DONE
    good = [msgspec.json.decode(line)["key"] for line in (bench.folder / "out.jsonl").read_bytes().splitlines()]
    dead = [msgspec.json.decode(line)["key"] for line in (bench.folder / "dead.jsonl").read_bytes().splitlines()]
    assert sorted([*good, *dead]) == sorted(f"k{n}" for n in range(60))
    assert len(good) == report.books["delivered"]


async def test_a_check_that_fails_is_named_and_loses_nothing(bench):
    from batchflow.model.errors import PluginError

    bench.simulate()

    def check(result):
        raise LookupError("no rule")

    with pytest.raises(PluginError, match="no rule"):
        await bench.run(bench.job(10, checks=[check]))
    report = await bench.run(bench.job(10))
    bench.check(report, asked=10, good=10)


async def test_a_listener_that_fails_stops_nobody(bench, caplog):
    bench.simulate()

    def listen(event):
        raise RuntimeError("deaf")

    report = await bench.run(bench.job(10), on_event=listen)
    bench.check(report, asked=10, good=10)
    assert "deaf" in caplog.text
