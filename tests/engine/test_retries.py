"""Rows that did not succeed: asked again, differently, or given up, and never packed twice."""

import msgspec
import pytest
from bench import ask, every, records, rules

from batchflow.builtin.retry import standard
from batchflow.model.result import Bad
from batchflow.model.state import Batch, Decision, RunState, Setback
from batchflow.model.words import Word
from batchflow.ports.retry import GiveUp, Retry
from batchflow.sim import FaultPlan

WEATHER = ["overloaded", "server_error", "timeout", "rate_limited", "expired", "missing"]


@pytest.mark.parametrize("word", WEATHER)
async def test_the_providers_weather_passes(bench, word):
    bench.simulate(f"row:20%:{word}")
    report = await bench.run(bench.job(60, rules=rules(max_requests=20)))
    bench.check(report, good=60)
    again = report.books["retried"]
    assert again > 0
    assert bench.sim.stats()["requests_accepted"] == 60 + again
    assert {result.attempt for result in bench.good} == {1, 2}


async def test_rows_of_many_batches_share_a_retry_batch(bench):
    bench.simulate("row:number 1:pause_turn", "row:number 2:pause_turn")
    report = await bench.run(bench.job(40, rules=rules(max_requests=20, after=600.0)))
    bench.check(report, good=40)
    again = [result for result in bench.good if result.attempt == 2]
    assert len(again) == 22
    assert len({result.batch for result in again}) == 2  # a full one, and the rest


async def test_no_row_is_packed_twice(bench):
    bench.simulate("row:30%:overloaded", "row:30%:server_error")
    report = await bench.run(bench.job(90, rules=rules(max_requests=20), retry=standard(attempts=5)))
    bench.check(report, good=90)
    async with bench.flow() as flow:
        batches = await every(flow.store, Batch, {"run": report.run.id, "retry": True})
        setbacks = await every(flow.store, Setback, {"run": report.run.id, "decision": Decision.AGAIN})
    assert sum(batch.count for batch in batches) == sum(setback.count for setback in setbacks)
    assert {setback.packed_in for setback in setbacks} == {batch.id for batch in batches}


async def test_attempts_come_to_an_end(bench):
    bench.simulate("row:number 7:overloaded,times=null")
    report = await bench.run(bench.job(10, retry=standard(attempts=3)))
    bench.check(report, asked=12, good=9, dead=1)
    (dead,) = bench.dead
    assert (dead.key, dead.word, dead.attempt) == ("k7", Word.OVERLOADED, 3)


async def test_an_answer_that_was_cut_off_is_asked_again_with_more_room(bench):
    bench.simulate()
    job = bench.job(
        10,
        request=lambda record: ask(record, max_tokens=3),
        retry=standard(attempts=9, truncated={"max_tokens": "2x", "ceiling": 2000}),
    )
    report = await bench.run(job)
    bench.check(report, good=10)
    assert report.books["waste"] > 0
    assert report.books["twice"] == 0
    assert max(result.attempt for result in bench.good) > 1
    assert all(result.stop_reason == "end_turn" for result in bench.good)


async def test_an_answer_that_is_cut_off_at_the_ceiling_is_a_dead_letter_with_all_its_columns(bench):
    bench.simulate()
    job = bench.job(
        4,
        request=lambda record: ask(record, max_tokens=3),
        retry=standard(attempts=9, truncated={"max_tokens": "2x", "ceiling": 4}),
        rules=rules(carry=["n"]),
    )
    report = await bench.run(job)
    bench.check(report, dead=4)
    assert {result.word for result in bench.dead} == {Word.TRUNCATED}
    assert sorted(result.carried["n"] for result in bench.dead) == [0, 1, 2, 3]
    assert {result.attempt for result in bench.dead} == {2}
    assert all("ceiling" in result.error for result in bench.dead)


async def test_a_bad_answer_is_asked_again_with_the_validators_words(bench):
    heard = []

    def answer(params):
        turns = params["messages"]
        heard.append(turns)
        return "good" if len(turns) > 1 else "bad"

    def check(result):
        return result if result.text == "good" else Bad((f"{result.key} must say good",))

    bench.simulate(answer=answer)
    report = await bench.run(bench.job(5, checks=[check]))
    bench.check(report, asked=10, good=5)
    corrected = [turns for turns in heard if len(turns) > 1]
    assert {turns[1]["content"] for turns in corrected} == {"bad"}
    assert {f"k{n} must say good" in turns[2]["content"] for n in range(5) for turns in corrected} == {True, False}
    for turns in corrected:
        number = turns[0]["content"].split("number ")[1].split(":")[0]
        assert f"k{number} must say good" in turns[2]["content"]


async def test_a_paused_turn_goes_on_from_where_it_was(bench):
    bench.simulate("row:number 3:pause_turn")
    report = await bench.run(bench.job(5))
    bench.check(report, asked=6, good=5)


async def test_a_refusal_is_dead_or_an_answer_as_the_job_says(bench):
    bench.simulate("row:number 3:refusal,times=null")
    bench.check(await bench.run(bench.job(5, name="dead")), asked=5, good=4, dead=1)
    bench.good.clear()
    bench.dead.clear()
    bench.check(await bench.run(bench.job(5, name="deliver", retry=standard(refused="deliver"))), asked=10, good=5)


async def test_a_missing_credit_in_a_row_pauses_the_run_and_burns_no_attempt(bench):
    sim = bench.simulate("row:20%:credit")
    report = await bench.run(bench.job(40))
    assert (report.run.state, report.run.word) == (RunState.PAUSED, Word.NO_CREDIT)
    assert report.books["waiting"] > 0
    assert report.books["dead"] == 0
    report = await bench.run(bench.job(40))
    bench.check(report, good=40)
    assert {result.attempt for result in bench.good} == {1}
    assert sim.stats()["rows_billed"] == 40


async def test_a_revoked_permission_in_a_row_pauses_too(bench):
    bench.simulate("row:number 3:permission")
    report = await bench.run(bench.job(5))
    assert (report.run.state, report.run.word) == (RunState.PAUSED, Word.UNAUTHORIZED)
    bench.check(await bench.run(bench.job(5)), good=5)


async def test_a_policy_may_decide_otherwise_for_every_single_row(bench):
    """Then every row is a group of its own; more of them than one page of the store holds."""
    bench.simulate("row::overloaded")
    policy = Policy(
        lambda failure: Retry(float(int(failure.key[1:]) % 7), {"set": {"metadata": {"user_id": failure.key}}})
    )
    report = await bench.run(bench.job(1300, rules=rules(max_requests=1300), retry=policy))
    bench.check(report, asked=2600, good=1300)


async def test_a_policy_may_give_up_at_once(bench):
    bench.simulate("row:50%:overloaded")
    report = await bench.run(bench.job(30, retry=Policy(lambda _failure: GiveUp())))
    bench.check(report, asked=30, good=len(bench.good), dead=len(bench.dead))
    assert bench.dead


async def test_a_policy_that_fails_is_named_and_loses_nothing(bench):
    from batchflow.model.errors import PluginError

    bench.simulate("row:number 3:overloaded")

    def fail(_failure):
        raise KeyError("tenant")

    with pytest.raises(PluginError, match=r"Policy.*k3.*tenant"):
        await bench.run(bench.job(5, retry=Policy(fail)))
    bench.check(await bench.run(bench.job(5)), asked=6, good=5)


async def test_retries_survive_a_restart(bench):
    sim = bench.simulate("row:50%:overloaded")
    first = await bench.run(bench.job(40, rules=rules(max_requests=10, after=3600.0)), wait=0.0)
    assert first.run.state is not RunState.DONE
    report = await bench.run(bench.job(40, rules=rules(max_requests=10)))
    bench.check(report, good=40)
    assert sim.stats()["rows_billed"] == 40
    sim.set_faults(FaultPlan())


async def test_a_row_that_changed_its_request_is_what_was_sent(bench):
    bench.simulate("row::overloaded")
    policy = Policy(lambda _failure: Retry(0.0, {"set": {"max_tokens": 77}}))
    report = await bench.run(bench.job(3, retry=policy))
    bench.check(report, asked=6, good=3)
    sent = [msgspec.json.decode(request.params) for request in bench.sim.batches[-1].requests]
    assert {params["max_tokens"] for params in sent} == {77}
    assert {params["messages"][0]["content"] for params in sent} == {
        ask(row)["messages"][0]["content"] for row in records(3)
    }


class Policy:
    """A policy from a function, with a name to be blamed by."""

    def __init__(self, decide):
        self.decide = decide
