"""What is read: duplicates, records that cannot be asked about, several requests of one, sources that rest or change."""

from pathlib import Path

import msgspec
import pytest
from bench import ask, records, rules

from batchflow.builtin.sources.jsonl import jsonl
from batchflow.model.errors import PluginError, RunRefused, SourceError
from batchflow.model.record import Idle, Page, Record, Skip, Unreadable
from batchflow.model.state import RunState
from batchflow.model.words import Word
from batchflow.ports.builder import BuildError
from batchflow.sim import FaultPlan


async def test_an_empty_source_is_a_run_that_is_done(bench):
    bench.simulate()
    report = await bench.run(bench.job(0))
    bench.check(report, asked=0, good=0)
    assert bench.sim.stats()["creates"] == 0


async def test_a_key_that_comes_twice_is_asked_once_and_counted(bench):
    bench.simulate()
    report = await bench.run(bench.job([*records(10), *records(5), *records(3, start=10)], rules=rules(max_requests=4)))
    assert report.books["duplicate"] == 5
    assert report.books["built"] == len(bench.good) == bench.sim.stats()["requests_accepted"] == 13
    told = bench.told("records.duplicate")[0]
    assert "k" in told.text


async def test_a_key_from_before_a_restart_is_still_a_duplicate(bench):
    sim = bench.simulate("create:3+:credit")
    rows = [*records(200), *records(200)]
    job = bench.job(rows, rules=rules(max_requests=10, in_flight=8))
    first = await bench.run(job)
    assert first.run.state is RunState.PAUSED
    assert not first.run.read_all
    sim.set_faults(FaultPlan())
    report = await bench.run(job)
    assert report.run.state is RunState.DONE
    assert report.books["duplicate"] == 200
    assert sim.stats()["requests_accepted"] == len(bench.good) == 200


class Pages:
    """A source of pages that are given."""

    def __init__(self, *pages):
        self.pages = pages
        self.reads = 0

    async def read(self, after):
        for number, page in enumerate(self.pages):
            if after is not None and number < after["n"]:
                continue
            self.reads += 1
            yield page if isinstance(page, Idle) else Page(page, {"n": number + 1})

    async def fingerprint(self):
        return "f"


def some(first, count):
    return [Record(f"k{n}", {"text": f"claim {n}", "n": n}, f"row {n}") for n in range(first, first + count)]


async def test_unreadable_places_become_dead_letters_with_their_origin(bench):
    bench.simulate()
    bad = [Unreadable("claims.csv:17", "no UTF-8"), Unreadable("claims.csv:18", "too long", key="k99")]
    report = await bench.run(bench.job(source=Pages([*some(0, 5), *bad], some(5, 5))))
    bench.check(report, asked=10, good=10, dead=2)
    assert report.books["unbuildable"] == 2
    assert {(result.origin, result.error, result.word) for result in bench.dead} == {
        ("claims.csv:17", "no UTF-8", Word.BUILD_ERROR),
        ("claims.csv:18", "too long", Word.BUILD_ERROR),
    }


async def test_records_that_cannot_be_built_become_dead_letters_with_what_they_carry(bench):
    bench.simulate()

    def build(record):
        if record["n"] % 5 == 3:
            raise BuildError("no text")
        return ask(record)

    report = await bench.run(bench.job(20, request=build, rules=rules(carry=["n"], max_requests=6)))
    bench.check(report, asked=16, good=16, dead=4)
    assert {(result.key, result.carried["n"], result.error) for result in bench.dead} == {
        (f"k{n}", n, "no text") for n in (3, 8, 13, 18)
    }


async def test_a_source_of_nothing_usable_ends_well(bench):
    bench.simulate()

    def build(record):
        raise BuildError("never")

    report = await bench.run(bench.job(1000, request=build))
    bench.check(report, asked=0, good=0, dead=1000)
    assert report.books["read"] == report.books["unbuildable"] == 1000


async def test_skipped_records_are_counted_and_go_nowhere(bench):
    bench.simulate()
    report = await bench.run(bench.job(20, request=lambda row: Skip("old") if row["n"] % 2 else ask(row)))
    assert report.books["skipped"] == 10
    assert len(bench.good) == bench.sim.stats()["requests_accepted"] == 10
    assert not bench.dead


async def test_a_record_may_become_several_requests(bench):
    bench.simulate()
    job = bench.job(10, request=lambda row: [ask(row), ask(row, max_tokens=300)], rules=rules(max_requests=7))
    report = await bench.run(job)
    assert report.run.state is RunState.DONE
    assert (report.books["built"], report.books["rows"]) == (10, 20)
    assert sorted(result.key for result in bench.good) == sorted(f"k{n}" for n in [*range(10), *range(10)])


async def test_a_record_of_more_requests_than_a_batch_holds_is_still_asked(bench):
    bench.simulate("create::max_requests,limit=5")
    job = bench.job(
        3, request=lambda row: [ask(row, max_tokens=n) for n in range(200, 212)], rules=rules(max_requests=5)
    )
    report = await bench.run(job)
    assert report.run.state is RunState.DONE
    assert len(bench.good) == bench.sim.stats()["requests_accepted"] == 36


async def test_a_builder_that_fails_is_named_with_its_record_and_loses_nothing(bench):
    bench.simulate()
    with pytest.raises(PluginError, match=r"^job job: .*'k7' \(row 8\).*ZeroDivisionError"):
        await bench.run(
            bench.job(20, request=lambda row: ask(row) if row["n"] != 7 else 1 / 0, rules=rules(max_requests=5))
        )
    report = await bench.run(bench.job(20, rules=rules(max_requests=5)))
    bench.check(report, asked=20, good=20)


async def test_a_source_that_fails_in_the_middle_is_read_on_where_it_was(bench):
    bench.simulate()
    failures = [OSError("the disk is gone")]

    def rows():
        for n, row in enumerate(records(40)):
            if n == 25 and failures:
                raise failures.pop()
            yield row

    job = bench.job(source=rows, rules=rules(max_requests=5))
    with pytest.raises(PluginError, match="the disk is gone"):
        await bench.run(job)
    report = await bench.run(job)
    bench.check(report, asked=40, good=40)


async def test_a_source_that_rests_is_asked_again_when_it_said_and_not_before(bench):
    bench.simulate()
    source = Pages(some(0, 5), Idle(20.0), some(5, 5))
    job = bench.job(source=source)
    report = await bench.run(job)
    bench.check(report, asked=10, good=10)
    first, second = bench.told("batch.drafted")
    assert second.at - first.at >= 20
    assert report.run.version < 10  # each look at a source that has nothing would be a commit


async def test_an_edited_source_is_refused_in_mid_run(bench):
    sim = bench.simulate("create:2+:credit")
    path = bench.folder / "in.jsonl"
    write(path, records(40))
    job = bench.job(source=jsonl(path=path, key="id"), rules=rules(max_requests=10))
    assert (await bench.run(job)).run.state is RunState.PAUSED
    write(path, records(30))
    sim.set_faults(FaultPlan())
    with pytest.raises((RunRefused, SourceError)):
        await bench.run(bench.job(source=jsonl(path=path, key="id"), rules=rules(max_requests=10)))
    write(path, records(40))


async def test_a_changed_job_is_refused_in_mid_run_and_fresh_after_it(bench):
    sim = bench.simulate("create::credit")
    assert (await bench.run(bench.job(10))).run.state is RunState.PAUSED
    with pytest.raises(RunRefused, match="changed"):
        await bench.run(bench.job(10, rules=rules(carry=["n"])))
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(bench.job(10)), asked=10, good=10)


async def test_a_job_that_was_done_is_not_paid_for_again(bench):
    bench.simulate()
    path = bench.folder / "in.jsonl"
    write(path, records(10))

    def job():
        return bench.job(source=jsonl(path=path, key="id"))

    first = await bench.run(job())
    again = await bench.run(job())
    assert not again.driven
    assert again.run.id == first.run.id
    assert bench.sim.stats()["requests_accepted"] == 10
    anew = await bench.run(job(), new=True)
    assert anew.driven
    assert bench.sim.stats()["requests_accepted"] == 20


def write(path: Path, rows):
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (Record("k\ud800", {"text": "x"}, "row 7"), r"'k\ud800' \(str\) as its key with record 'k\ud800' \(row 7\)"),
        (
            Record("k7", {"text": "x", "tenant": 1j}, "row 7"),
            r"1j \(complex\) as the carried column 'tenant' with record 'k7'",
        ),
        (Unreadable("row 7", "no UTF-8", key="k\ud800"), r"'k\ud800' \(str\) as its key with record"),
    ],
)
async def test_what_a_source_gives_and_nobody_can_write_down_is_laid_at_its_door(bench, record, said):
    bench.simulate()
    source = Pages(some(0, 5), [*some(5, 2), record])
    with pytest.raises(PluginError, match=said.replace("\\ud", r"\\ud")) as caught:
        await bench.run(bench.job(source=source, rules=rules(carry=["tenant"], max_requests=5)))
    assert str(caught.value).startswith("job job: tests.engine.test_reading.Pages gave ")
