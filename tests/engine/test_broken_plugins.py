"""One plugin broken in each way there is, in each place: the other job finishes, and the message names the culprit.

Both jobs run in one process, side by side, against one state folder and one server.
"""

import asyncio
import threading
from dataclasses import replace

import anyio
import msgspec
import pytest
from tests.support.bench import rules

from batchflow.engine import watchdog
from batchflow.engine.pricing import PriceBooks
from batchflow.job import To
from batchflow.model.errors import BatchflowError, PluginError
from batchflow.model.rules import BatchRules
from batchflow.model.state import RunState
from batchflow.plugin import Bad, GiveUp, Page, Pause, Record, Retry, Target, Written
from batchflow.ports.retry import MOST_ATTEMPTS

TIMEOUT = 30.0
ROWS = 20


class Whole:
    """Every part of a job in one object, async and sound; the broken ones break one method of it."""

    promise = "at_least_once"

    def __init__(self):
        self.rows = []

    async def read(self, after):
        if after is None:
            yield Page([Record(f"b{n}", {"id": f"b{n}", "text": "a"}, f"row {n}") for n in range(ROWS)], {"at": 1})

    async def fingerprint(self):
        return None

    async def committed(self, told):
        pass

    def build(self, record):
        return {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": record.key}]}

    def check(self, result):
        return result

    def decide(self, failure):
        return GiveUp()

    async def open(self, context, last):
        pass

    async def write(self, part):
        self.rows += [result async for results in part.rows for result in results]
        return {"rows": len(self.rows)}

    async def complete(self):
        pass

    async def close(self):
        pass

    def targets(self):
        return [Target("/nowhere/out.txt")]

    def covers(self, target):
        return False


def stand_still():
    """Block this thread for good."""
    LOOPS[-1].stands_still()
    threading.Event().wait()


LOOPS = []


async def raises(*_):
    raise ZeroDivisionError("oops")


async def exits(*_):
    raise SystemExit(3)


async def leaves(*_):
    """What Python raises in a generator that is given up, and a test that is skipped: no `Exception`."""
    raise GeneratorExit


async def hangs(*_):
    await anyio.sleep_forever()


async def gives_nonsense(*_):
    return object()


def raises_plainly(*_):
    raise ZeroDivisionError("oops")


def blocks(*_):
    stand_still()


def gives_nonsense_plainly(*_):
    return object()


async def raises_pages(*_):
    raise ZeroDivisionError("oops")
    yield


async def hangs_in_pages(*_):
    await anyio.sleep_forever()
    yield


async def gives_no_pages(*_):
    yield "a page"


def blocks_in_pages(*_):
    stand_still()
    yield


def gives_no_place(*_):
    yield Page([Record("a", {"text": "a"}, "row 1")], 7)


def gives_a_place_that_cannot_be_kept(*_):
    yield Page([Record("a", {"text": "a"}, "row 1")], {"at": object()})


def says_one_text(*_):
    return Bad("not so good")


def calls_it_another_row(result):
    return msgspec.structs.replace(result, key="same")


def refuses_in_its_own_word(*_):
    return Bad(("not so good",), "splendid")


def has_its_own_word(result):
    return msgspec.structs.replace(result, word="splendid")


def makes_it_cheaper(result):
    result.cost = -5
    return result


def says_a_number(result):
    return msgspec.structs.replace(result, text=7)


class Mute(Exception):
    """An error whose own text cannot be had."""

    def __str__(self):
        raise ZeroDivisionError


def raises_what_has_no_text(*_):
    raise Mute


def exits_plainly(*_):
    raise SystemExit(0)


def names_by_number(*_):
    yield Page([Record(7, {"text": "a"}, "row 1")], {"at": 1})


def pauses_without_a_word(*_):
    return Pause(why=None)


async def refuses_in_one_text(*_):
    return Written(receipt={}, refused="none")


SOURCE = [("read", raises_pages), ("read", hangs_in_pages), ("read", gives_no_pages), ("read", blocks_in_pages)]
BROKEN = [
    *SOURCE,
    ("read", raises_plainly),
    ("read", gives_nonsense_plainly),
    *(
        (name, way)
        for name in ("fingerprint", "open", "write", "complete")
        for way in (raises, exits, leaves, hangs, blocks)
    ),
    ("read", gives_no_place),
    ("read", gives_a_place_that_cannot_be_kept),
    ("read", names_by_number),
    *(
        ("check", way)
        for way in (
            says_one_text,
            calls_it_another_row,
            makes_it_cheaper,
            says_a_number,
            has_its_own_word,
            refuses_in_its_own_word,
        )
    ),
    *((name, raises_what_has_no_text) for name in ("read", "build", "check", "decide")),
    ("decide", exits_plainly),
    ("decide", pauses_without_a_word),
    ("write", refuses_in_one_text),
    ("write", gives_nonsense),
    *((name, way) for name in ("targets", "covers") for way in (raises_plainly, exits_plainly, blocks)),
    ("targets", gives_nonsense_plainly),
    *((name, way) for name in ("build", "check", "decide") for way in (raises_plainly, blocks, gives_nonsense_plainly)),
]


@pytest.fixture
def broken(bench):
    """Make a job whose every part is sound but for one method."""

    def make(name, way):
        LOOPS.append(asyncio.get_running_loop())
        kind = type("Culprit", (Whole,), {name: lambda self, *given: way(*given)})
        if asyncio.iscoroutinefunction(way) or name == "read":
            setattr(kind, name, _as(way))
        parts = kind()
        return bench.job(
            name="broken",
            source=parts,
            request=parts,
            checks=[parts],
            retry=parts,
            sinks=[To(sink=parts, name="lake"), To(sink=parts.rows.extend, on="dead", name="dead")],
            rules=msgspec.structs.replace(rules(), plugin_timeout=TIMEOUT),
        )

    yield make
    LOOPS.clear()


def _as(way):
    """Turn a function into a method of its own manner: generators and coroutines are told by how they are written."""
    if asyncio.iscoroutinefunction(way):

        async def method(self, *given):
            return await way(*given)

    elif way in {raises_pages, hangs_in_pages, gives_no_pages}:

        async def method(self, *given):
            async for page in way(*given):
                yield page

    elif way is blocks_in_pages:

        def method(self, *given):
            yield from way(*given)

    else:

        def method(self, *given):
            return way(*given)

    return method


async def outcome(flow, job):
    """Run a job to whatever end it comes to, and tell in what words."""
    try:
        report = await flow.run(job)
    except BatchflowError as error:
        return None, error.message
    return report, report.run.why


@pytest.mark.parametrize(("name", "way"), BROKEN, ids=lambda one: one if isinstance(one, str) else one.__name__)
async def test_the_other_job_finishes_and_the_message_names_the_culprit(bench, broken, name, way):
    bench.simulate(*(["row:30%:invalid,times=null"] if name == "decide" else []))
    good, bad = bench.job(ROWS, name="good"), broken(name, way)
    said = {}
    async with bench.flow() as flow, anyio.create_task_group() as both:

        async def run(job):
            said[job.name] = await outcome(flow, job)

        both.start_soon(run, good)
        both.start_soon(run, bad)
    report, _ = said["good"]
    assert report.run.state is RunState.DONE
    assert report.books["delivered"] + report.books["dead"] == ROWS
    report, words = said["broken"]
    assert report is None or report.run.state is RunState.PAUSED
    assert "Culprit" in words, words
    assert said["broken"][0] is not None or words.startswith("job broken: ")


async def test_a_policy_that_never_gives_up_does_not_pay_for_ever(bench):
    bench.simulate("row:50%:invalid,times=null")
    policy = type("Tireless", (), {"decide": lambda self, failure: Retry()})()
    report = await bench.run(bench.job(10, retry=policy))
    good, dead = report.books["delivered"], report.books["dead"]
    assert report.run.state is RunState.DONE
    assert dead > 0
    assert bench.sim.stats()["requests_accepted"] == good + dead * MOST_ATTEMPTS


async def test_a_sink_whose_promise_nobody_knows_is_not_believed(bench):
    bench.simulate()
    parts = type("Culprit", (Whole,), {"promise": "exactly_once"})()
    with pytest.raises(PluginError, match=r"^job job: .*Culprit gave 'exactly_once'.* as its promise.*at_least_once"):
        await bench.run(bench.job(3, sinks=[To(sink=parts, name="lake")]))
    assert bench.sim.stats()["requests_accepted"] == 0


@pytest.mark.parametrize("way", [raises_plainly, gives_nonsense_plainly])
async def test_a_price_book_that_fails_is_named(bench, way):
    bench.simulate()
    book = type("Culprit", (), {"price": lambda self, model: way()})()
    with pytest.raises(PluginError, match=r"^job job: .*Culprit .*the price of claude-haiku-4-5"):
        await bench.run(bench.job(5), prices=PriceBooks([book]))


@pytest.mark.parametrize(
    ("name", "way"), [(n, w) for n in ("close", "committed") for w in (raises, exits, hangs, blocks)]
)
async def test_what_is_asked_last_undoes_nothing_and_is_named(bench, broken, caplog, name, way):
    bench.simulate()
    job = replace(broken(name, way), source=Whole())  # to a source it matters who hears what is safe
    async with bench.flow() as flow:
        report, _ = await outcome(flow, job)
    assert report.run.state is RunState.DONE
    assert report.books["delivered"] == ROWS
    assert "Culprit" in caplog.text


async def test_a_sink_that_hangs_is_given_up_once_and_brought_everything_when_it_is_mended(bench, broken):
    bench.simulate()
    job = broken("write", hangs)
    async with bench.flow() as flow:
        began = asyncio.get_running_loop().time()
        report = await flow.run(
            replace(job, rules=msgspec.structs.replace(job.rules, batch=BatchRules(max_requests=4)))
        )
        assert report.run.state is RunState.PAUSED
        waited = f"did not come back within {TIMEOUT:g} s while it wrote part"
        assert waited in report.run.why
        assert len([event for event in bench.told("part.parked") if waited in event.text]) >= 5
        assert asyncio.get_running_loop().time() - began < 3 * TIMEOUT + 60
    whole = Whole()
    mended = replace(job, sinks=[To(sink=whole, name="lake"), To(sink=bench.dead.extend, on="dead", name="dead")])
    async with bench.flow() as flow:
        report = await flow.run(mended)
    assert report.run.state is RunState.DONE
    assert len(whole.rows) == ROWS
    assert bench.sim.stats()["requests_accepted"] == ROWS


async def test_a_sink_that_raises_is_tried_again_before_its_part_is_parked(bench, broken):
    bench.simulate()
    failing = iter([True, True])

    async def write(part):
        if next(failing, False):
            raise ConnectionError("the service is away")
        return {"rows": sum([len(rows) async for rows in part.rows])}

    async with bench.flow() as flow:
        report = await flow.run(broken("write", write))
    assert report.run.state is RunState.DONE
    assert [("the service is away" in event.text, "Culprit" in event.text) for event in bench.told("part.failed")] == [
        (True, True),
        (True, True),
    ]


async def test_an_async_part_that_blocks_the_loop_is_named_with_its_line(bench, broken, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "LOOK", 0.02)
    monkeypatch.setattr(watchdog, "LONG", 0.1)
    bench.simulate()

    async def blocks_the_loop(part):
        never = threading.Event()
        for _ in range(3_000):
            if "blocks the event loop" in caplog.text or never.wait(0.01):
                break
        return {"rows": sum([len(rows) async for rows in part.rows])}

    async with bench.flow() as flow:
        report = await flow.run(broken("write", blocks_the_loop))
    assert report.run.state is RunState.DONE
    [told] = bench.told("loop.blocked")
    assert "Culprit" in told.text
    assert "test_broken_plugins.py" in told.text
    assert "in " in told.text
    assert "job broken: " in caplog.text


class Plain:
    """A source and a sink without a single `async`, which both insist on their threads as `sqlite3` does."""

    promise = "at_least_once"

    def __init__(self):
        self.rows = []
        self.threads = set()

    def read(self, after):
        for n in range(5):
            self.threads.add(threading.get_ident())
            if after is None or after["at"] < n:
                yield Page(
                    [Record(f"p{n}-{m}", {"id": f"p{n}-{m}", "text": "a"}, f"row {n}") for m in range(4)], {"at": n}
                )

    def fingerprint(self):
        return "plain"

    def open(self, context, last):
        self.threads.add(threading.get_ident())

    def write(self, part):
        self.threads.add(threading.get_ident())
        for results in part.rows:
            self.rows += results
        return {"rows": len(self.rows)}

    def close(self):
        self.threads.add(threading.get_ident())


async def test_parts_without_async_work_each_in_one_thread_of_its_own(bench):
    bench.simulate()
    source, sink = Plain(), Plain()
    async with bench.flow() as flow:
        report = await flow.run(bench.job(source=source, sinks=[sink]))
    assert report.run.state is RunState.DONE
    assert sorted(result.key for result in sink.rows) == sorted(f"p{n}-{m}" for n in range(5) for m in range(4))
    assert len(source.threads) == len(sink.threads) == 1
    assert threading.get_ident() not in source.threads | sink.threads


async def test_a_function_that_blocks_stalls_nobody(bench):
    bench.simulate()
    threads = set()

    def records():
        for n in range(3):
            threads.add(threading.get_ident())
            yield {"id": f"r{n}", "text": "a"}

    def ask(record):
        threads.add(threading.get_ident())
        return Whole().build(Record(record["id"], record, ""))

    def keep(results):
        threads.add(threading.get_ident())

    async with bench.flow() as flow:
        report = await flow.run(bench.job(source=records, request=ask, sinks=[keep]))
    assert report.run.state is RunState.DONE
    assert len(threads) == 3
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("way", [raises_plainly, blocks])
async def test_a_sink_that_no_longer_says_what_it_writes_keeps_no_run_from_being_canceled(bench, broken, way):
    bench.simulate("create:2+:credit", duration=600.0, cancel_delay=10.0)
    ways = [list]
    job = broken("targets", lambda *_: ways[-1]())
    job = replace(job, rules=msgspec.structs.replace(job.rules, batch=BatchRules(max_requests=4)))
    async with bench.flow() as flow:
        report = await flow.run(job)
        assert report.run.state is RunState.PAUSED
        ways.append(way)
        report = await flow.cancel(job, report.run)
    assert report.run.cancel
    assert report.books["in_flight"] == report.books["waiting"] == 0
    assert bench.sim.stats()["creates"] <= 2
    parked = bench.told("part.parked")
    assert all("when it was asked what it writes" in event.text and "Culprit" in event.text for event in parked)
    assert parked
