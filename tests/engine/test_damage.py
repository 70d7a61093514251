"""Objects that are damaged where they lie: answers are fetched again while the provider has them, all else is told."""

import random
from contextlib import suppress
from string import ascii_letters

import pytest
import zstandard
from bench import every, records, rules

from batchflow import To
from batchflow.model.errors import ObjectDamaged
from batchflow.model.state import Batch, BatchState, Entry, Run, RunState
from batchflow.model.words import Word
from batchflow.sim import FaultPlan


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)


def footless(path):
    data = path.read_bytes()
    path.write_bytes(data[:-4] + b"xxxx")


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def gone(path):
    path.unlink()


class Spoiler:
    """Spoils the first object of a kind as soon as an event is told, and remembers what was in it."""

    def __init__(self, bench, kind, how, *, event="batch.collected"):
        self._bench, self._kind, self._how, self._event = bench, kind, how, event
        self.path = None

    def __call__(self, event):
        self._bench.events.append(event)
        if event.kind == self._event and self.path is None:
            self.path = min(self._bench.folder.glob(f"state/objects/*/{event.subject}/{self._kind}*"))
            self.sound = self.path.read_bytes()
            self._how(self.path)

    def put_back(self):
        self.path.write_bytes(self.sound)


@pytest.mark.parametrize("how", [flipped, footless, cut, gone])
async def test_damaged_answers_are_fetched_again_and_cost_nothing_more(bench, how):
    bench.simulate("row:number 7:invalid", "row:number 8:overloaded")
    spoiler = Spoiler(bench, "results", how)
    report = await bench.run(bench.job(30, rules=rules(max_requests=20)), on_event=spoiler)
    bench.check(report, asked=31, good=29, dead=1)
    assert len(bench.told("batch.refetched")) == 1
    assert report.books["waste"] == 0
    assert report.books["paid"] == sum(result.cost for result in bench.good)
    async with bench.flow() as flow:
        settled = [entry for entry in await every(flow.store, Entry, {"run": report.run.id}) if entry.kind == "settle"]
    assert len(settled) == report.books["batches"] == len({entry.batch for entry in settled})


async def test_two_sinks_that_meet_the_same_damage_both_get_everything(bench):
    bench.simulate()
    other = []
    sinks = [To(sink=bench.good.extend, name="good"), To(sink=other.extend, name="other")]
    report = await bench.run(bench.job(30, sinks=sinks), on_event=Spoiler(bench, "results", flipped))
    bench.check(report, asked=30, good=30)
    assert sorted(result.key for result in other) == sorted(record["id"] for record in records(30))


async def test_a_request_that_is_made_of_a_damaged_answer_waits_until_it_is_here_again(bench):
    bench.simulate("row:number 7:pause_turn,times=1")
    job = bench.job(10, sinks=[To(sink=bench.dead.extend, on="dead", name="dead")])
    report = await bench.run(job, on_event=Spoiler(bench, "results", flipped))
    assert report.run.state is RunState.DONE
    assert (report.books["delivered"], report.books["retried"]) == (10, 1)
    assert len(bench.told("batch.refetched")) == 1


async def test_answers_that_are_gone_everywhere_are_held_back_with_what_they_cost(bench):
    sim = bench.simulate()

    def late(path):
        sim.clock.advance(30 * 24 * 3600)
        flipped(path)

    spoiler = Spoiler(bench, "results", late)
    report = await bench.run(bench.job(30), on_event=spoiler)
    assert report.run.state is RunState.PAUSED
    for part in ("checksum differs", "29 days", "answers are concerned, for which $0.00", "run --new"):
        assert part in report.run.why
    assert (bench.good, report.books["collected"], report.books["in_flight"]) == ([], 30, 0)
    spoiler.put_back()
    bench.check(await bench.run(bench.job(30)), asked=30, good=30)
    assert not bench.told("batch.refetched")


async def test_a_provider_that_is_ill_is_asked_again_before_a_person_is(bench):
    sim = bench.simulate("results:2+:status,status=503")
    report = await bench.run(bench.job(20), on_event=Spoiler(bench, "results", gone))
    assert report.run.state is RunState.PAUSED
    assert "Fetching the answers again" in report.run.why
    assert "503" in report.run.why
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(bench.job(20)), asked=20, good=20)


async def test_a_key_that_is_no_longer_good_pauses_the_run_as_ever(bench):
    sim = bench.simulate()

    def revoked(path):
        sim.set_faults(FaultPlan.parse(["results::revoked"]))
        gone(path)

    report = await bench.run(bench.job(20), on_event=Spoiler(bench, "results", revoked))
    assert (report.run.state, report.run.word) == (RunState.PAUSED, Word.UNAUTHORIZED)
    sim.set_faults(FaultPlan())
    bench.check(await bench.run(bench.job(20)), asked=20, good=20)


async def test_answers_without_their_context_are_kept_back_while_all_others_go_out(bench):
    bench.simulate()
    spoiler = Spoiler(bench, "context", flipped)
    job = bench.job(30, rules=rules(max_requests=20))
    report = await bench.run(job, on_event=spoiler)
    assert report.run.state is RunState.PAUSED
    for part in ("/context", "nobody can tell which record", "from a copy of the state folder", "was paid"):
        assert part in report.run.why
    assert 0 < len(bench.good) < 30
    spoiler.put_back()
    bench.check(await bench.run(job), asked=30, good=30)


async def test_a_context_that_is_damaged_while_its_batch_flies_holds_that_batch_alone(bench):
    bench.simulate("row:number 3:invalid", "row:number 25:invalid")
    spoiler = Spoiler(bench, "context", gone, event="batch.submitted")
    job = bench.job(30, rules=rules(max_requests=20))
    report = await bench.run(job, on_event=spoiler)
    assert report.run.state is RunState.PAUSED
    assert "nobody can tell which record" in report.run.why
    assert "is paid for, and stays with the provider for 29 days" in report.run.why
    async with bench.flow() as flow:
        states = sorted([batch.state for batch in await flow.store.find(Batch, {"run": report.run.id})])
    assert states == [BatchState.DELIVERED, BatchState.HELD]
    spoiler.put_back()
    bench.check(await bench.run(job), asked=30, good=28, dead=2)


async def test_a_request_that_changed_where_it_lies_is_never_sent_whole_and_never_paid(bench):
    """The object is of many pieces and its beginning still decompresses: only its checksum, at the end, tells."""
    bench.simulate()
    letters = random.Random(4)
    given = [{"id": f"k{n}", "text": "".join(letters.choices(ascii_letters, k=60_000))} for n in range(40)]
    changed: list[int] = []

    def spell_otherwise(path):
        data = bytearray(path.read_bytes())
        whole = zstandard.decompress(data)
        for place in range(
            100_000, len(data)
        ):  # look for a byte that spells another text instead of breaking the frame
            data[place] ^= 1
            with suppress(zstandard.ZstdError):
                changed.append(sum(one != other for one, other in zip(whole, zstandard.decompress(data), strict=True)))
                break
            data[place] ^= 1
        path.write_bytes(data)

    spoiler = Spoiler(bench, "requests", spell_otherwise, event="batch.drafted")
    with pytest.raises(ObjectDamaged, match="checksum differs"):
        await bench.run(bench.job(given), on_event=spoiler)
    assert changed[0] > 0
    assert bench.sim.stats()["requests_accepted"] == 0
    spoiler.put_back()
    bench.check(await bench.run(bench.job(given)), asked=40, dead=40)  # for such long texts the answers are cut off


async def test_dead_letters_without_their_requests_are_not_asked_again_and_the_run_stays_done(bench):
    bench.simulate("row:number 3:invalid")
    job = bench.job(10)
    report = await bench.run(job)
    [requests] = bench.folder.glob("state/objects/*/*/requests")
    requests.rename(requests.with_suffix(".aside"))
    async with bench.flow() as flow:
        with pytest.raises(ObjectDamaged, match="requests"):
            await flow.retry(job, report.run, {Word.INVALID})
        await bench.audit(flow.store, report)
        run = await flow.store.get(Run, report.run.id)
        assert (run.state, await flow.store.books(run.id)) == (RunState.DONE, report.books)
    requests.with_suffix(".aside").rename(requests)
    async with bench.flow() as flow:
        again = await flow.retry(job, report.run, {Word.INVALID})
    assert (again.run.state, bench.sim.stats()["requests_accepted"]) == (RunState.DONE, 11)
