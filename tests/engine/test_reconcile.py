"""An operator rules on batches whose fate is unknown: by proof, or by a word that says what it costs if it is wrong."""

import json

import anyio
import httpx2
import pytest
from bench import KEY, every, rules

from batchflow.engine.ids import uuid7
from batchflow.machine.ruling import DOUBTFUL, Absent, Adopt, Claim, GiveUp
from batchflow.model.change import Put
from batchflow.model.state import Batch, BatchState, Event, Intent, IntentState, Remote, RunState, Wish
from batchflow.model.units import Secret
from batchflow.model.words import Word
from batchflow.reports.doubts import doubts
from batchflow.sim import FaultPlan
from batchflow.stages.rule import VERB

HELD = {"grace": 5.0, "on_absent": "hold"}
"""Whatever is not in the listing waits for a person."""


async def held(bench, *faults, rows=20, **options):
    """A run whose batch is held: its create call went wrong so, and the listing does not show what it may have made."""
    sim = bench.simulate(*faults, **{"duration": 1.0} | options)
    job = bench.job(rows, rules=rules(**HELD))
    report = await bench.run(job)
    assert report.run.state is RunState.PAUSED, report.run.why
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {"state": BatchState.HELD})
    sim.set_faults(FaultPlan())
    return sim, job, report.run, batch


async def ruled(bench, job, run, *rulings, **options):
    async with bench.flow(**options) as flow:
        answer = await flow.reconcile(job, run, rulings)
        batches = await every(flow.store, Batch, {"run": run.id})
        books = await flow.store.books(run.id)
        assert books["rows"] == sum(
            books[n] for n in ("waiting", "in_flight", "collected", "delivered", "dead", "canceled")
        )
        return answer, {batch.id: batch for batch in batches}


async def elsewhere(sim, *, rows=20, custom_id="somebody-{}", key=KEY):
    """Somebody else makes a batch in the same workspace."""
    params = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}]}
    body = {"requests": [{"custom_id": custom_id.format(n), "params": params} for n in range(rows)]}
    headers = {"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}
    async with httpx2.AsyncClient(trust_env=False) as client:
        reply = await client.post(f"{sim.url}/v1/messages/batches", json=body, headers=headers)
    return reply.json()["id"]


NEVER = "create:1:status,status=500"
HIDDEN = ("create:1:unlisted", "create:1:reset_after")


async def test_absent_by_an_operators_word_is_sent_again_and_written_down(bench):
    sim, job, run, batch = await held(bench, NEVER)
    answer, batches = await ruled(bench, job, run, Absent(batch.id, batch.token))
    assert answer.said[0].done
    assert "is paid twice" in answer.said[0].text
    assert batches[batch.id].state is BatchState.DRAFTED
    assert sim.stats()["creates"] == 1  # ruling sends nothing
    async with bench.flow() as flow:
        [intent] = await flow.store.find(Intent, {"batch": batch.id})
        [event] = await flow.store.find(Event, {"kind": "batch.ruled.drafted"})
    assert intent.state is IntentState.ABSENT
    assert intent.watch_until is not None
    assert (event.subject, "operator" in event.text) == (batch.id, True)
    bench.check(await bench.run(job), asked=20, good=20)


@pytest.mark.parametrize("duration", [1.0, 600.0], ids=["ended", "at work"])
async def test_absent_that_was_true_when_it_was_said_is_held_against_the_listing_before_anything_is_sent(
    bench, duration
):
    """The listing has caught up since: sent on that word, the rows would be paid for twice."""
    sim, job, run, batch = await held(bench, *HIDDEN, duration=duration)
    answer, batches = await ruled(bench, job, run, Absent(batch.id, batch.token))
    assert (answer.said[0].done, batches[batch.id].state) == (True, BatchState.DRAFTED)
    sim.batches[0].fate.unlisted_until = 0.0
    report = await bench.run(job)
    bench.check(report, asked=20, good=20)
    assert (sim.stats()["creates"], report.books["waste"]) == (1, 0)


async def test_absent_is_not_believed_of_what_the_listing_shows_at_that_moment(bench):
    sim, job, run, batch = await held(bench, *HIDDEN, duration=600.0)
    sim.batches[0].fate.unlisted_until = 0.0
    answer, batches = await ruled(bench, job, run, Absent(batch.id, batch.token))
    assert not answer.said[0].done
    assert f"it is running as {sim.batches[0].id}" in answer.said[0].text
    bench.check(await bench.run(job), asked=20, good=20)
    assert batches[batch.id].state is BatchState.RUNNING


async def test_absent_said_in_the_face_of_look_alikes_is_obeyed_and_one_that_comes_later_is_not_covered_by_it(bench):
    sim, job, run, batch = await held(bench, NEVER, duration=300)
    await elsewhere(sim)
    await elsewhere(sim)
    answer, _ = await ruled(bench, job, run, Absent(batch.id, batch.token))
    assert answer.said[0].done
    await elsewhere(sim)
    report = await bench.run(job)
    assert (report.run.state, sim.stats()["creates"]) == (RunState.PAUSED, 1 + 3)
    answer, _ = await ruled(bench, job, run, Absent(batch.id, batch.token))
    assert answer.said[0].done
    bench.check(await bench.run(job), asked=60 + 20, good=20)


async def test_absent_said_with_one_key_sends_nothing_with_another_accounts(bench):
    """Whoever has the other key sees none of what the first may have made."""
    sim = bench.simulate(*HIDDEN, keys={"one": "org/a", "two": "org/b"}, duration=1.0)
    job = bench.job(20, rules=rules(**HELD))
    run = (await bench.run(job, provider=bench.provider(api_key=Secret("one")))).run
    sim.set_faults(FaultPlan())
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {"state": BatchState.HELD})
    word = Absent(batch.id, batch.token)
    answer, _ = await ruled(bench, job, run, word, provider=bench.provider(api_key=Secret("one")))
    assert answer.said[0].done
    report = await bench.run(job, provider=bench.provider(api_key=Secret("two")))
    assert (report.run.state, sim.stats()["creates"]) == (RunState.PAUSED, 1)
    assert "another key" in report.run.why


async def test_nothing_is_sent_on_an_operators_word_while_the_listing_cannot_be_read(bench):
    sim, job, run, batch = await held(bench, *HIDDEN)
    await ruled(bench, job, run, Absent(batch.id, batch.token))
    sim.batches[0].fate.unlisted_until = 0.0
    sim.set_faults(FaultPlan.parse(["list:1+2+3:status,status=503"]))
    bench.check(await bench.run(job), asked=20, good=20)
    assert sim.stats()["creates"] == 1


async def test_absent_said_wrongly_is_found_out_and_booked_as_waste(bench):
    sim, job, run, batch = await held(bench, *HIDDEN, "create:1:duration,seconds=5", duration=600)
    await ruled(bench, job, run, Absent(batch.id, batch.token))
    sim.batches[0].fate.unlisted_until = sim.clock.now() + 60  # after it is sent again
    report = await bench.run(job)
    bench.check(report, asked=40, good=20)
    assert bench.told("batch.twin")
    assert report.books["waste"] > 0


async def test_adopt_by_the_token_in_its_results_is_proof(bench):
    sim, job, run, batch = await held(bench, *HIDDEN)
    remote = sim.batches[0].id
    answer, batches = await ruled(bench, job, run, Adopt(batch.id, batch.token, remote))
    assert answer.said[0].done
    assert (batches[batch.id].state, batches[batch.id].proven) == (BatchState.RUNNING, True)
    bench.check(await bench.run(job), asked=20, good=20)


async def test_adopt_before_it_has_ended_is_a_claim_that_collection_proves(bench):
    sim, job, run, batch = await held(bench, *HIDDEN, duration=5e4)
    answer, batches = await ruled(bench, job, run, Adopt(batch.id, batch.token, sim.batches[0].id))
    assert answer.said[0].done
    assert "given back" in answer.said[0].text
    assert (batches[batch.id].state, batches[batch.id].proven) == (BatchState.RUNNING, False)
    sim.clock.advance(6e4)
    bench.check(await bench.run(job), asked=20, good=20)


async def test_adopting_somebody_elses_batch_is_refused_once_its_token_can_be_read(bench):
    sim, job, run, batch = await held(bench, NEVER)
    remote = await elsewhere(sim)
    sim.clock.advance(100)
    answer, batches = await ruled(bench, job, run, Adopt(batch.id, batch.token, remote))
    assert not answer.said[0].done
    assert "carries the token `somebody`" in answer.said[0].text
    assert batches[batch.id].state in DOUBTFUL


async def test_adopting_somebody_elses_batch_before_it_ends_is_given_back_and_not_delivered(bench):
    sim, job, run, batch = await held(bench, NEVER, duration=5e4)
    remote = await elsewhere(sim)
    await ruled(bench, job, run, Adopt(batch.id, batch.token, remote))
    sim.clock.advance(6e4)
    report = await bench.run(job)
    assert report.run.state is RunState.PAUSED
    assert bench.told("batch.disowned")
    assert bench.good == []
    assert all(one.cancel_at is None for one in sim.batches)


@pytest.mark.parametrize("rows", [19, 21])
async def test_a_batch_of_another_size_cannot_be_adopted(bench, rows):
    sim, job, run, batch = await held(bench, NEVER, duration=5e4)
    remote = await elsewhere(sim, rows=rows)
    answer, _ = await ruled(bench, job, run, Adopt(batch.id, batch.token, remote))
    assert not answer.said[0].done
    assert f"holds {rows} requests" in answer.said[0].text


async def test_a_batch_that_the_provider_does_not_know_cannot_be_adopted(bench):
    _, job, run, batch = await held(bench, NEVER)
    answer, _ = await ruled(bench, job, run, Adopt(batch.id, batch.token, "msgbatch_nowhere"))
    assert not answer.said[0].done
    assert "does not know" in answer.said[0].text


async def test_what_is_proven_to_exist_cannot_be_called_absent(bench):
    sim = bench.simulate("results::status,status=404", duration=1.0)
    job = bench.job(20)
    report = await bench.run(job)
    assert "is held" in report.run.why
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {"state": BatchState.HELD})
    answer, _ = await ruled(bench, job, report.run, Absent(batch.id, batch.token))
    assert not answer.said[0].done
    assert f"it exists: it is {sim.batches[0].id}" in answer.said[0].text


async def test_nobody_says_absent_with_a_key_that_cannot_see_what_was_made(bench):
    """The other account's listing is empty, and proves nothing: believed, the rows would be paid for twice."""
    sim = bench.simulate(
        "create:1:reset_after", "list:2+:status,status=503", keys={"one": "org/a", "also-one": "org/a", "two": "org/b"}
    )
    job = bench.job(20, rules=rules(grace=5.0, patience=3.0))
    run = (await bench.run(job, provider=bench.provider(api_key=Secret("one")))).run
    sim.set_faults(FaultPlan())
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {"run": run.id})
    word = Absent(batch.id, batch.token)
    answer, batches = await ruled(bench, job, run, word, provider=bench.provider(api_key=Secret("two")))
    assert (answer.said[0].done, batches[batch.id].state in DOUBTFUL) == (False, True)
    assert "under another key" in answer.said[0].text
    async with bench.flow() as flow:
        (doubt,) = await doubts(flow.store, run, answer.candidates)
    assert "with another key" in doubt.sentence
    assert "The listing shows" not in doubt.sentence
    assert [one.split()[-2] for one in doubt.say] == ["--give-up"]
    bench.check(await bench.run(job, provider=bench.provider(api_key=Secret("also-one"))), asked=20, good=20)
    assert sim.stats()["creates"] == 1


async def test_a_batch_given_up_leaves_dead_letters_that_can_be_asked_again(bench):
    sim, job, run, batch = await held(bench, NEVER)
    answer, batches = await ruled(bench, job, run, GiveUp(batch.id, batch.token))
    assert "nothing is sent again" in answer.said[0].text
    assert batches[batch.id].state is BatchState.FAILED
    report = await bench.run(job)
    assert report.run.state is RunState.DONE
    assert (report.books["dead"], sim.stats()["creates"]) == (20, 1)
    assert {result.word for result in bench.dead} == {Word.MISSING}
    async with bench.flow() as flow:
        report = await flow.retry(job, report.run, [Word.MISSING])
    assert report.books["delivered"] == len(bench.good) == 20


async def test_results_that_are_gone_can_be_given_up_and_the_run_ends(bench):
    sim = bench.simulate(duration=60.0)
    job = bench.job(20)
    await bench.run(job, wait=0.0)
    sim.clock.advance(40 * 86400)
    report = await bench.run(job)
    assert "29 days" in report.run.why
    async with bench.flow() as flow:
        (batch,) = await flow.store.find(Batch, {"state": BatchState.HELD})
    answer, _ = await ruled(bench, job, report.run, GiveUp(batch.id, batch.token))
    assert "was paid for in vain" in answer.said[0].text
    report = await bench.run(job)
    assert report.run.state is RunState.DONE
    assert {result.word for result in bench.dead} == {Word.ARCHIVED}


async def test_a_batch_created_elsewhere_is_adopted_by_its_token(bench):
    sim, job, run, batch = await held(bench, *HIDDEN)
    answer, batches = await ruled(bench, job, run, Claim(sim.batches[0].id))
    assert answer.said[0].done
    assert batches[batch.id].proven
    bench.check(await bench.run(job), asked=20, good=20)


async def test_a_batch_whose_custom_ids_are_not_ours_is_refused_and_not_touched(bench):
    sim, job, run, batch = await held(bench, NEVER)
    remote = await elsewhere(sim)
    sim.clock.advance(100)
    answer, batches = await ruled(bench, job, run, Claim(remote))
    assert not answer.said[0].done
    assert "`somebody`" in answer.said[0].text
    assert "not ours" in answer.said[0].text
    assert batches[batch.id].state in DOUBTFUL
    assert sim.stats()["cancels"] == sim.stats()["deletes"] == 0


async def test_a_batch_that_has_not_ended_shows_no_token_and_is_not_claimed(bench):
    sim, job, run, _ = await held(bench, *HIDDEN, duration=5e4)
    answer, _ = await ruled(bench, job, run, Claim(sim.batches[0].id))
    assert not answer.said[0].done
    assert "--adopt" in answer.said[0].hint


async def test_a_batch_that_turns_up_before_its_rows_were_sent_again_is_taken_and_not_paid_twice(bench):
    """Absent by somebody's word, and found out before the next run."""
    sim, job, run, batch = await held(bench, *HIDDEN)
    await ruled(bench, job, run, Absent(batch.id, batch.token))
    answer, batches = await ruled(bench, job, run, Claim(sim.batches[0].id))
    assert "nothing is paid twice" in answer.said[0].text
    assert batches[batch.id].state is BatchState.RUNNING
    report = await bench.run(job)
    bench.check(report, asked=20, good=20)
    assert report.books["waste"] == 0


async def test_a_batch_that_turns_up_after_its_run_was_done_is_booked_as_waste(bench):
    sim, job, run, batch = await held(bench, *HIDDEN)
    await ruled(bench, job, run, Absent(batch.id, batch.token))
    bench.check(await bench.run(job), asked=40, good=20)
    answer, _ = await ruled(bench, job, run, Claim(sim.batches[0].id))
    assert "booked as waste" in answer.said[0].text
    async with bench.flow() as flow:
        books = await flow.store.books(run.id)
    assert 0 < books["waste"] < books["paid"]
    again, _ = await ruled(bench, job, run, Claim(sim.batches[0].id))
    assert "known already" in again.said[0].text


async def test_a_word_about_a_call_says_nothing_of_the_next_one(bench):
    """Typed, held up somewhere, and obeyed when the rows had been sent again: it must not be believed of that call."""
    _, job, run, batch = await held(bench, NEVER)
    await ruled(bench, job, run, Absent(batch.id, batch.token))
    bench.sim.set_faults(FaultPlan.parse(["create::reset_after", "create::unlisted"]))
    assert (await bench.run(job)).run.state is RunState.PAUSED
    answer, batches = await ruled(bench, job, run, Absent(batch.id, batch.token), GiveUp(batch.id, batch.token))
    assert [said.done for said in answer.said] == [False, False]
    assert "another call" in answer.said[0].text
    assert batches[batch.id].state in DOUBTFUL
    assert bench.sim.stats()["requests_accepted"] == 20


async def test_looking_finds_what_can_be_proven_and_sends_nothing(bench):
    sim, job, run, batch = await held(bench, *HIDDEN)
    sim.batches[0].fate.unlisted_until = 0.0
    answer, batches = await ruled(bench, job, run)
    assert (answer.blind, answer.candidates) == ("", {})
    assert batches[batch.id].state is BatchState.RUNNING
    assert sim.stats()["creates"] == 1


async def test_looking_names_the_candidates_in_the_listing(bench):
    sim, job, run, batch = await held(bench, NEVER, duration=5e4)
    remotes = {await elsewhere(sim), await elsewhere(sim)}
    answer, _ = await ruled(bench, job, run)
    assert {remote.id for remote in answer.candidates[batch.id]} == remotes


async def test_looking_without_an_answer_changes_nothing_for_the_worse(bench):
    sim, job, run, batch = await held(bench, NEVER)
    sim.set_faults(FaultPlan.parse(["list::status,status=503"]))
    answer, batches = await ruled(bench, job, run)
    assert "503" in answer.blind
    assert batches[batch.id].state is BatchState.IN_DOUBT
    assert sim.stats()["creates"] == 1


async def test_a_ruling_is_obeyed_by_the_driver_of_a_live_run(bench):
    """One batch is held while another is at work: the word goes through the store."""
    bench.simulate("create:1:status,status=500", duration=4000.0)
    job = bench.job(30, rules=rules(max_requests=20, **HELD))
    answers = []

    async def operator():
        async with bench.flow() as flow:
            while not (found := await flow.store.find(Batch, {"state": BatchState.HELD})):
                await anyio.sleep(0.25)
            wish = Wish(id=uuid7(), run=found[0].run, verb=VERB, at=0.0, data=rulings(found[0]))
            await flow.store.commit((Put(wish),))
            while (now := await flow.store.get(Wish, wish.id)).done_at is None:
                await anyio.sleep(0.25)
            answers.append(now.data["answer"])

    async with anyio.create_task_group() as group:
        group.start_soon(operator)
        report = await bench.run(job)
    bench.check(report, asked=30, good=30)
    assert answers[0]["said"][0]["done"] is True


def rulings(batch):
    return {"rulings": [{"type": "absent", "batch": batch.id, "token": batch.token}]}


async def test_a_call_whose_process_died_is_looked_for_too(bench):
    """SUBMITTING without a driver: nobody is making that call any more."""
    sim, job, run, batch = await held(bench, *HIDDEN)
    async with bench.flow() as flow:
        sent = await flow.store.get(Batch, batch.id)
        from msgspec.structs import replace

        await flow.store.commit((Put(replace(sent, version=sent.version + 1, state=BatchState.SUBMITTING)),))
    sim.batches[0].fate.unlisted_until = 0.0
    _, batches = await ruled(bench, job, run)
    assert batches[batch.id].state is BatchState.RUNNING


async def test_facts_about_adopted_batches_are_kept(bench):
    sim, job, run, batch = await held(bench, *HIDDEN)
    await ruled(bench, job, run, Claim(sim.batches[0].id))
    async with bench.flow() as flow:
        [fact] = await flow.store.find(Remote, {"run": run.id})
    assert (fact.id, fact.batch, fact.token) == (sim.batches[0].id, batch.id, batch.token)
    assert json.dumps(fact.how) == '"adopted"'
