"""A job declared in code: what cannot work is refused before anything is sent, what fails later names itself and loses nothing."""

import csv
from datetime import date
from decimal import Decimal
from functools import partial
from uuid import UUID

import pytest
from bench import ask, records, rules

from batchflow import Job, To
from batchflow.builtin.retry import standard
from batchflow.builtin.sinks.jsonl import jsonl
from batchflow.model.errors import ConfigError, PluginError
from batchflow.model.result import Bad
from batchflow.model.state import RunState
from batchflow.ports.retry import GiveUp, Retry
from batchflow.sim import FaultPlan


@pytest.fixture(scope="session")
def anyio_backend(jumping):
    return jumping


def rows():
    yield from records(20)


async def rows_from_afar():
    for row in records(20):
        yield row


async def rows_awaited():
    return records(20)


def keep(results):
    del results


def keep_lazily(results):
    yield from results


async def keep_afar_lazily(results):
    for result in results:
        yield result


async def ask_later(record):
    return ask(record)


def ask_lazily(record):
    yield ask(record)


async def check_later(result):
    return result


async def decide_later(failure):
    del failure
    return GiveUp()


class Called:
    """Is called like a function, and does nothing then."""

    def __call__(self, results):
        yield from results


class AsyncBuilder:
    async def build(self, record):
        return record


class Halfway:
    """Has the one method of a source that everybody thinks of."""

    async def read(self, after):
        yield after


class Whole(Halfway):
    async def fingerprint(self):
        return None


WRONG = {
    "a generator as sink": ({"sinks": [keep_lazily]}, r"`sinks\[0\]`, \S+keep_lazily, is a generator function"),
    "an async generator as sink": ({"sinks": [keep, keep_afar_lazily]}, r"`sinks\[1\]`, \S+keep_afar_lazily, is a gen"),
    "a generator behind To": ({"sinks": [To(sink=keep_lazily)]}, r"keep_lazily, is a generator function"),
    "a partial of a generator": ({"sinks": [partial(keep_lazily)]}, r"keep_lazily, is a generator function"),
    "an object called as a generator": ({"sinks": [Called()]}, r"Called, is a generator function"),
    "no sinks": ({"sinks": []}, r"job `face` has no `sinks`"),
    "a path as sinks": ({"sinks": "out.jsonl"}, r"`sinks` is 'out.jsonl', not a list"),
    "a function as sinks": ({"sinks": keep}, r"`sinks` is \S+keep, not a list"),
    "a path as a sink": (
        {"sinks": ["out.jsonl"]},
        r"`sinks\[0\]` is 'out.jsonl', which is neither a function nor a `Sink`",
    ),
    "half a sink": ({"sinks": [Halfway()]}, r"Halfway, which is neither a function nor a `Sink`"),
    "two sinks of one name": ({"sinks": [keep, To(sink=keep, name="sink")]}, r"two sinks are called `sink`"),
    "a generator object as source": ({"source": rows()}, r"`source` is .*generator, which can be read only once"),
    "an async generator object": (
        {"source": rows_from_afar()},
        r"`source` is .*async_generator, which can be read only",
    ),
    "a reader of a file": ({"source": csv.DictReader([])}, r"`source` is .*DictReader, which can be read only once"),
    "a path as source": ({"source": "in.jsonl"}, r"`source` is 'in.jsonl', which is neither a function nor a `Source`"),
    "a set as source": ({"source": {1, 2}}, r"`source` is an object of type builtins.set, which is neither"),
    "half a source": ({"source": Halfway()}, r"nor a `Source` \(it has no `fingerprint`\)"),
    "a class of sources": ({"source": Whole}, r"`source` is the class \S+Whole"),
    "an async builder": ({"request": ask_later}, r"`request`, \S+ask_later, is an async function"),
    "an object with an async build": ({"request": AsyncBuilder()}, r"AsyncBuilder.build, is an async function"),
    "a generator as builder": ({"request": ask_lazily}, r"`request`, \S+ask_lazily, is a generator function"),
    "a dict as builder": (
        {"request": {"model": "m"}},
        r"`request` is .*dict, which is neither a function nor a `Builder`",
    ),
    "an async check": ({"checks": [check_later]}, r"`checks\[0\]`, \S+check_later, is an async function"),
    "a function as checks": ({"checks": check_later}, r"`checks` is \S+check_later, not a list"),
    "an async policy": ({"retry": decide_later}, r"`retry`, \S+decide_later, is an async function"),
    "a number as policy": ({"retry": 3}, r"`retry` is 3, which is neither a function nor a `RetryPolicy`"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_work_is_refused_where_it_is_declared(wrong):
    parts, said = WRONG[wrong]
    with pytest.raises(ConfigError, match=said) as refused:
        Job(**{"name": "face", "source": rows, "request": ask, "sinks": [keep], **parts})
    assert refused.value.hint


@pytest.mark.parametrize("source", [rows, rows_from_afar, rows_awaited, records(20), tuple(records(20))])
async def test_records_come_in_any_shape_that_can_be_read_again(bench, source):
    sim = bench.simulate("create:2+:credit")
    job = bench.job(source=source, rules=rules(max_requests=5, in_flight=1))
    first = await bench.run(job)
    assert first.run.state is RunState.PAUSED
    assert not first.run.read_all
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(job), asked=20, good=20)


async def test_more_records_than_a_page_come_from_an_async_function(bench):
    async def many():
        for row in records(1203):
            yield row

    bench.simulate()
    bench.check(await bench.run(bench.job(source=many, rules=rules(max_requests=1000))), asked=1203, good=1203)


@pytest.mark.parametrize("given", [None, 7, "text", {"id": "a"}], ids=repr)
async def test_a_source_function_that_gives_no_records_is_named(bench, given):
    def forgetful():
        return given

    bench.simulate()
    with pytest.raises(PluginError, match=r"forgetful gave .* while it was read, not records"):
        await bench.run(bench.job(source=forgetful))


async def test_a_source_that_gives_records_in_place_of_pages_is_named(bench):
    class Dicts(Whole):
        async def read(self, after):
            del after
            yield {"id": "a"}

    bench.simulate()
    with pytest.raises(PluginError, match=r"Dicts gave \{'id': 'a'\} \(dict\) while it was read, not a `Page`"):
        await bench.run(bench.job(source=Dicts()))


async def test_records_without_a_key_are_dead_letters(bench):
    bench.simulate()
    odd = [{"text": "no id"}, {"id": None}, {"id": ""}, {"id": float("nan")}, {"id": True}, {"id": []}, 5, None, ["id"]]
    report = await bench.run(bench.job(source=lambda: [*records(3), *odd]))
    assert (report.run.state, report.books["delivered"], report.books["unbuildable"]) == (RunState.DONE, 3, len(odd))
    assert bench.sim.stats()["requests_accepted"] == 3
    said = {result.origin: result.error for result in bench.dead}
    assert list(said) == [f"row {n}" for n in range(4, 13)]
    assert said["row 4"] == "there is no 'id', which is the key; there is text"
    assert said["row 6"] == "the key 'id' is empty"
    assert said["row 9"] == "the key 'id' is neither text nor a number"
    assert said["row 10"] == "a record is a mapping of columns, and this is of type int"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("id", "k\ud800", r"the key 'id' is 'k\ud800', which holds half a character"),
        ("tenant", "\ud800", "the carried column 'tenant' cannot be kept: it holds half a character"),
        ("tenant", object(), "the carried column 'tenant' cannot be kept: it is of type object, which is no JSON"),
        ("tenant", {(1, 2): 3}, "the carried column 'tenant' cannot be kept: it is of type dict, which is no JSON"),
        ("tenant", 1j, "the carried column 'tenant' cannot be kept: it is of type complex, which is no JSON"),
    ],
)
async def test_a_record_that_cannot_be_kept_is_a_dead_letter_with_its_row_and_column(bench, column, value, said):
    bench.simulate()
    rows = [row | ({column: value} if row["n"] == 7 else {}) for row in records(20)]
    report = await bench.run(bench.job(rows, rules=rules(max_requests=5, carry=["tenant"])))
    assert (report.run.state, report.books["delivered"], report.books["unbuildable"]) == (RunState.DONE, 19, 1)
    [letter] = bench.dead
    assert letter.origin == "row 8"
    assert letter.error.startswith(said)


async def test_dates_decimals_and_bytes_are_carried_as_json_has_them(bench):
    bench.simulate()
    rows = [{"id": "k", "text": "x", "at": date(2024, 2, 29), "sum": Decimal("1.50"), "raw": b"\xff"}]
    bench.check(await bench.run(bench.job(rows, rules=rules(carry=["at", "sum", "raw"]))), asked=1, good=1)
    assert bench.good[0].carried == {"at": "2024-02-29", "sum": "1.50", "raw": "/w=="}


UNUSABLE_RETRIES = [
    Retry(after=None),
    Retry(after="3"),
    Retry(after=-5),
    Retry(after=1e9),
    Retry(after=float("nan")),
    Retry(after=float("inf")),
    Retry(change=None),
    Retry(change={"x": object()}),
]


@pytest.mark.parametrize("verdict", UNUSABLE_RETRIES)
async def test_a_retry_that_nobody_can_obey_is_named_with_job_policy_and_record_and_loses_nothing(bench, verdict):
    def decide(_failure):
        return verdict

    bench.simulate("row:number 3:overloaded")
    with pytest.raises(
        PluginError, match=r"job job: .*decide gave Retry.* on record 'k3' \(overloaded\), not a `Retry` whose"
    ):
        await bench.run(bench.job(10, retry=decide))
    bench.check(await bench.run(bench.job(10, retry=standard())), asked=11, good=10)


async def test_keys_may_be_what_programs_have(bench):
    bench.simulate()
    keys = [7, UUID(int=7), date(2024, 2, 29)]
    report = await bench.run(bench.job(source=[{"id": key, "text": "x"} for key in keys]))
    bench.check(report, asked=3, good=3)
    assert sorted(result.key for result in bench.good) == sorted(map(str, keys))


UNUSABLE = {
    "nothing": (lambda _: None, r"None.*is a `return` missing"),
    "text": (lambda _: "{}", r"'{}' \(str\)"),
    "a number": (lambda _: 7, r"7 \(int\)"),
    "a coroutine": (ask_later, r"coroutine"),
    "a generator": (ask_lazily, r"generator"),
    "a list of nothing": (lambda row: [ask(row), None], r"None"),
}


@pytest.mark.parametrize("what", UNUSABLE)
async def test_a_builder_that_gives_what_nobody_can_send_is_named_with_the_record(bench, what):
    make, said = UNUSABLE[what]

    def build(record):
        return make(record) if record["n"] == 7 else ask(record)

    bench.simulate()
    with pytest.raises(PluginError, match=rf"build gave .*{said}") as failed:
        await bench.run(bench.job(request=build, rules=rules(max_requests=5)))
    assert "on record 'k7' (row 8)" in failed.value.message
    bench.check(await bench.run(bench.job(rules=rules(max_requests=5))), asked=20, good=20)


async def test_a_builder_whose_request_is_no_json_is_named_with_the_record(bench):
    bench.simulate()
    with pytest.raises(PluginError, match=r"<lambda> failed on record 'k0' \(row 1\): TypeError"):
        await bench.run(bench.job(request=lambda row: ask(row, metadata=object())))
    assert bench.sim.stats()["creates"] == 0


async def test_a_check_that_forgets_to_answer_is_named_and_loses_nothing(bench):
    def forgetful(result):
        if result.key != "k3":
            return result
        return None

    bench.simulate()
    with pytest.raises(PluginError, match=r"forgetful gave None on record 'k3', not the `Result`.*`return`"):
        await bench.run(bench.job(10, checks=[forgetful]))
    assert bench.good == []
    bench.check(await bench.run(bench.job(10, checks=[lambda result: result])), asked=10, good=10)


@pytest.mark.parametrize("answer", ["again", None, Bad(("no",))], ids=repr)
async def test_a_policy_that_gives_no_verdict_is_named_and_loses_nothing(bench, answer):
    def decide(_failure):
        return answer

    bench.simulate("row:number 3:overloaded")
    with pytest.raises(PluginError, match=r"decide gave .* on record 'k3' \(overloaded\), not a `Retry`"):
        await bench.run(bench.job(10, retry=decide))
    bench.check(await bench.run(bench.job(10, retry=standard())), asked=11, good=10)


@pytest.mark.parametrize("lazy", [keep_lazily, keep_afar_lazily])
async def test_a_sink_whose_call_gives_a_generator_is_named_and_what_it_did_not_take_is_kept(bench, lazy):
    def behind(results):
        return lazy(results)

    bench.simulate()
    report = await bench.run(bench.job(10, sinks=[To(sink=behind, name="good")]))
    assert report.run.state is RunState.PAUSED
    assert report.books["delivered"] == 0
    [parked] = bench.told("part.parked")
    assert "behind gave <" in parked.text
    bench.check(await bench.run(bench.job(10)), asked=10, good=10)


async def test_a_sink_may_give_anything_back(bench):
    def count(results):
        bench.good.extend(results)
        return len(results)

    async def count_afar(results):
        return len(results)

    bench.simulate()
    bench.check(await bench.run(bench.job(10, sinks=[count, count_afar])), asked=10, good=10)


async def test_a_sink_of_the_product_is_taken_as_it_is(bench):
    bench.simulate()
    report = await bench.run(bench.job(10, sinks=[jsonl(path=bench.folder / "out.jsonl")]))
    assert report.books["delivered"] == len((bench.folder / "out.jsonl").read_text().splitlines()) == 10
