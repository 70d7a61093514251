"""The Python face: what a program that embeds batchflow sees."""

import threading
import time
from itertools import combinations

import pytest
from bench import every

from batchflow.builtin.retry import standard
from batchflow.builtin.stores.memory import memory_blobs, memory_state
from batchflow.extend import hearing
from batchflow.extend.facade import Plugins
from batchflow.model.errors import PluginError, RunRefused, SinkUnready
from batchflow.model.state import Batch, RunState
from batchflow.model.words import Word
from batchflow.plugin import hookimpl
from batchflow.stages.walled import walled


@pytest.fixture(scope="session")
def anyio_backend(jumping):
    return jumping


async def test_a_run_reports_what_became_of_it(bench):
    bench.simulate("row:number 3:invalid")
    report = await bench.run(bench.job(10))
    assert report.driven
    assert (report.run.state, report.books["delivered"], report.books["dead"]) == (RunState.DONE, 9, 1)


async def test_it_runs_on_stores_in_memory(bench):
    bench.simulate("create:1:reset_after", "row:20%:overloaded")
    report = await bench.run(bench.job(60), store=memory_state(), blobs=memory_blobs())
    bench.check(report, good=60)


@pytest.mark.parametrize("where", ["state/state.db", "state/seen/out", "in/hard.jsonl", "in/new.jsonl"])
async def test_a_sink_that_would_write_over_what_is_needed_is_refused_before_any_sink_is_opened(bench, where):
    bench.simulate()
    here = bench.folder / "in"
    here.mkdir()
    (here / "a.jsonl").write_text('{"id": "a"}\n')
    (here / "hard.jsonl").hardlink_to(here / "a.jsonl")
    sink, plugins = Plugins().sink("jsonl"), Plugins()
    source = plugins.source("jsonl")(path=here / "*.jsonl", key="id")
    sinks = [sink(path=bench.folder / "good.jsonl"), sink(path=bench.folder / where, if_exists="overwrite")]
    async with bench.flow() as flow:
        with pytest.raises(SinkUnready, match=r"sink `sink1` would write over .*Nothing was touched"):
            await flow.run(bench.job(source=source, sinks=sinks))
    assert not (bench.folder / "good.jsonl").exists()
    assert (here / "a.jsonl").read_text() == '{"id": "a"}\n'


async def test_events_come_after_what_they_tell_of(bench):
    bench.simulate()
    await bench.run(bench.job(10))
    kinds = [event.kind for event in bench.events]
    assert kinds == sorted(kinds, key=STORY.index)
    assert set(kinds) == set(STORY)


STORY = [
    "run.started",
    "batch.drafted",
    "batch.submitted",
    "batch.ended",
    "batch.collected",
    "part.delivered",
    "batch.delivered",
    "run.done",
]


async def test_events_tell_of_which_job_they_are_and_what_can_be_counted(bench):
    bench.simulate("row:number 3:invalid")
    heard = {}

    class Hears:
        @hookimpl
        def on_event(self, event, job):
            heard[event.kind] = (job, event.data)

    await bench.run(bench.job(10), plugins=Plugins([Hears()], entry_points=False))
    assert heard["batch.drafted"] == ("job", {"count": 10})
    assert heard["batch.submitted"][1]["count"] == 10
    assert heard["batch.collected"] == ("job", {"good": 9, "again": 0, "dead": 1})


async def test_a_plugin_that_blocks_in_on_event_holds_nobody_up_and_is_named(bench, monkeypatch, caplog):
    """Neither the run, nor the other plugin, nor the end."""
    monkeypatch.setattr(hearing, "LAST_WORDS", 0.2)
    bench.simulate()
    heard, over = [], threading.Event()

    class Blocks:
        @hookimpl
        def on_event(self):
            over.wait()

    class Hears:
        @hookimpl
        def on_event(self, event):
            time.sleep(0.01)
            heard.append(event.kind)

    plugins = Plugins([Blocks(), Hears()], entry_points=False)
    async with bench.flow(plugins=plugins) as flow:
        report = await flow.run(bench.job(10))
        assert report.books["delivered"] == 10
        assert heard == [event.kind for event in bench.events]  # before `run` comes back
    assert caplog.text.count("plugin Blocks did not come back from on_event within 0.2 s: 8 events were not told") == 1
    over.set()


async def test_events_that_nobody_takes_do_not_fill_the_memory(bench, monkeypatch, caplog):
    monkeypatch.setattr(hearing, "LAST_WORDS", 0.1)
    monkeypatch.setattr(hearing, "MOST", 3)
    bench.simulate()
    over = threading.Event()

    class Blocks:
        @hookimpl
        def on_event(self):
            over.wait()

    await bench.run(bench.job(10), plugins=Plugins([Blocks()], entry_points=False))
    assert "plugin Blocks is slow in on_event: 3 events wait for it, and it is told of no more" in caplog.text
    over.set()


@pytest.mark.filterwarnings("error")
async def test_a_coroutine_from_on_event_is_told_of_once(bench, caplog):
    async def later():
        """Nobody awaits this."""

    class Forgets:
        @hookimpl
        def on_event(self):
            return later()

    bench.simulate()
    await bench.run(bench.job(10), plugins=Plugins([Forgets()], entry_points=False))
    assert caplog.text.count("plugin Forgets gave a coroutine in on_event, which nobody awaits") == 1


async def test_a_flow_that_was_stopped_begins_nothing(bench):
    bench.simulate()
    async with bench.flow() as flow:
        flow.stop()
        report = await flow.run(bench.job(10))
    assert report.run.state is RunState.RUNNING
    assert bench.sim.stats()["creates"] == 0
    bench.check(await bench.run(bench.job(10)), asked=10, good=10)


async def test_results_can_be_read_again_without_a_sink(bench):
    bench.simulate("row:number 3:invalid", "row:number 4:overloaded")
    job = bench.job(10)
    report = await bench.run(job)
    async with bench.flow() as flow:
        good = [result async for chunk in flow.results(report.run, job) for result in chunk]
        dead = [result async for chunk in flow.results(report.run, job, on="dead") for result in chunk]
    assert sorted(result.key for result in good) == sorted(f"k{n}" for n in range(10) if n != 3)
    assert [(result.key, result.word) for result in dead] == [("k3", Word.INVALID)]


async def test_dead_letters_are_asked_again_when_somebody_says_so(bench):
    sim = bench.simulate("row:number 3:overloaded,times=2", "row:number 4:invalid")
    job = bench.job(10, retry=standard(attempts=2))
    report = await bench.run(job)
    bench.check(report, asked=11, good=8, dead=2)
    async with bench.flow() as flow:
        report = await flow.retry(job, report.run, [Word.OVERLOADED])
        await bench.audit(flow.store, report)
    assert sim.stats()["requests_accepted"] == 12
    assert sorted(result.key for result in bench.good) == sorted(f"k{n}" for n in range(10) if n != 4)
    assert (report.books["dead"], report.books["delivered"]) == (1, 9)


async def test_rows_that_died_at_the_ceiling_are_revived_with_a_larger_one(bench):
    from bench import ask

    bench.simulate()
    job = bench.job(4, request=lambda row: ask(row, max_tokens=3), retry=cap(4))
    report = await bench.run(job)
    bench.check(report, dead=4)
    assert all(result.text for result in bench.dead)
    larger = bench.job(4, request=lambda row: ask(row, max_tokens=3), retry=cap(2000, factor="100x"))
    async with bench.flow() as flow:
        report = await flow.retry(larger, report.run, [Word.TRUNCATED])
        await bench.audit(flow.store, report)
    assert report.run.state is RunState.DONE
    assert len(bench.good) == 4
    assert report.books["dead"] == 0


def cap(ceiling, factor="2x"):
    return standard(attempts=9, truncated={"max_tokens": factor, "ceiling": ceiling})


async def test_what_was_canceled_while_it_waited_can_be_revived(bench):
    from batchflow.engine.ids import uuid7
    from batchflow.model.change import Put
    from batchflow.model.state import Wish

    bench.simulate("row:number 3:overloaded")
    job = bench.job(10)
    async with bench.flow() as flow:
        flow._on_event = lambda event: flow.stop() if event.kind == "batch.collected" else None
        first = await flow.run(job)
        assert first.books["waiting"] == 1
        await flow.store.commit((Put(Wish(id=uuid7(), run=first.run.id, verb="cancel", at=0.0)),))
    async with bench.flow() as flow:
        report = await flow.run(job)
        assert report.run.state is RunState.CANCELED
        assert [(result.key, result.word) for result in bench.dead] == [("k3", Word.CANCELED)]
        report = await flow.retry(job, report.run, [Word.CANCELED])
        await bench.audit(flow.store, report)
    assert report.run.state is RunState.DONE
    assert len(bench.good) == 10


async def test_a_finished_run_cannot_be_resumed(bench):
    bench.simulate()
    job = bench.job(10)
    report = await bench.run(job)
    async with bench.flow() as flow:
        with pytest.raises(RunRefused, match="nothing to go on with"):
            await flow.resume(job, report.run)


async def test_no_two_calls_that_are_under_way_together_have_one_size(bench):
    """Their sizes are what lost ones are told apart by."""
    bench.simulate("create::slow,seconds=5,when=after")
    report = await bench.run(bench.job(1000))
    answered = {event.subject: event.at for event in bench.told("batch.submitted")}
    async with bench.flow() as flow:
        batches = await every(flow.store, Batch, {"run": report.run.id})
    calls = sorted((batch.submitted_at, answered[batch.id], batch.count) for batch in batches)
    together = [(one[2], other[2]) for one, other in combinations(calls, 2) if other[0] < one[1]]
    assert len(together) > 3
    assert all(one != other for one, other in together)


class Breaks:
    """A store of somebody's own, passed in code, that breaks when one thing is asked of it."""

    def __init__(self, store, word):
        self._store = store
        self._word = word

    def __getattr__(self, name):
        if name == self._word:

            async def later(*_given, **_named):
                raise RuntimeError("no disk")

            def at_once(*_given, **_named):
                raise RuntimeError("no disk")

            return at_once if name in {"create", "read"} else later
        return getattr(self._store, name)


@pytest.mark.parametrize("word", ["open", "get", "find", "commit", "books", "lease", "outlook", "close"])
async def test_a_state_store_that_was_passed_in_code_is_named_with_what_was_asked_of_it(bench, word):
    bench.simulate()
    with pytest.raises(PluginError) as caught:
        await bench.run(bench.job(5), store=Breaks(memory_state(), word))
    assert f"test_app.Breaks failed in its `{word}`: RuntimeError: no disk" in str(caught.value)


@pytest.mark.parametrize("word", ["create", "read", "close"])
async def test_a_blob_store_that_was_passed_in_code_is_named_with_what_was_asked_of_it(bench, word):
    bench.simulate()
    with pytest.raises(PluginError) as caught:
        await bench.run(bench.job(5), blobs=Breaks(memory_blobs(), word))
    assert f"test_app.Breaks failed in its `{word}`: RuntimeError: no disk" in str(caught.value)


async def test_stores_of_ones_own_that_work_are_behind_the_wall_and_ours_are_not(bench):
    bench.simulate()
    state, blobs = memory_state(), memory_blobs()
    flow = bench.flow(store=state, blobs=blobs)
    assert flow.store is state
    assert flow.blobs is blobs
    wall = walled(Breaks(state, ""))
    assert walled(wall) is wall
    report = await bench.run(bench.job(10), store=Breaks(state, ""), blobs=Breaks(blobs, ""))
    bench.check(report, good=10)
