"""What an operator's word can do, and what no word can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.machine import ruling
from batchflow.machine.batch import TABLE, Vanished, step
from batchflow.machine.ruling import DOUBTFUL, Denied, Granted, Late, Sighting
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Batch, BatchState, Binding, Intent, Remote

NOW = 1_000_000.0
TOKEN = "t1"
FACT = Remote(id="m1", run="r", batch="b", token=TOKEN, at=NOW)
ELSE = Remote(id="m1", run="r", batch="other", token="t9", at=NOW)

batches = st.builds(
    Batch,
    id=st.just("b"),
    run=st.just("r"),
    count=st.just(3),
    bytes=st.just(9),
    reserved=st.sampled_from([0, 5_000_000]),
    state=st.sampled_from(BatchState),
    token=st.sampled_from([TOKEN, "t2"]),
    proven=st.booleans(),
    remote=st.sampled_from(["", "m1"]),
)
remotes = st.none() | st.builds(
    RemoteBatch,
    id=st.just("m1"),
    ended=st.booleans(),
    count=st.sampled_from([0, 3, 4]),
    created_at=st.sampled_from([NOW, NOW - 1e5]),
    archived=st.booleans(),
)
sightings = st.builds(
    Sighting, st.just("m1"), remotes, st.sampled_from([None, TOKEN, "theirs"]), st.sampled_from([None, FACT, ELSE])
)
facts = st.sampled_from([None, FACT])


def an_intent(token=TOKEN):
    return Intent(
        token=token,
        run="r",
        batch="b",
        count=3,
        at=NOW,
        last_byte_at=NOW,
        watermark=NOW,
        binding=Binding(base_url="", key=""),
    )


def verdicts(batch, seen, own):
    yield ruling.absent(batch, TOKEN, own, now=NOW)
    yield ruling.give_up(batch, TOKEN, own)
    yield ruling.adopt(batch, an_intent(), TOKEN, seen, own, now=NOW)
    yield ruling.claim(seen, an_intent(), batch, now=NOW)


@given(batches, sightings, facts)
def test_a_word_moves_only_what_is_in_doubt_along_an_arrow_of_the_machine(batch, seen, own):
    for verdict in verdicts(batch, seen, own):
        if isinstance(verdict, Granted):
            assert batch.state in DOUBTFUL
            assert type(verdict.event) in TABLE[batch.state]
            assert verdict.says
            step(batch, verdict.event)


@given(batches, sightings, facts)
def test_a_word_about_one_call_is_never_taken_for_another(batch, seen, own):
    if batch.token != TOKEN:
        assert not any(isinstance(verdict, Granted) for verdict in verdicts(batch, seen, own))


@given(batches, sightings, facts)
def test_nothing_that_is_known_to_exist_becomes_payable_again(batch, seen, own):
    for verdict in verdicts(batch, seen, own):
        if isinstance(verdict, Granted) and isinstance(verdict.event, Vanished):
            assert own is None
            assert not batch.proven


@given(batches, sightings, facts)
def test_nothing_with_somebody_elses_token_or_name_is_adopted(batch, seen, own):
    adopted = ruling.adopt(batch, an_intent(), TOKEN, seen, own, now=NOW)
    if isinstance(adopted, Granted):
        assert seen.token in {None, TOKEN}
        assert seen.fact in {None, FACT}
        assert seen.remote is not None
        assert seen.remote.count in {0, 3}


@given(batches, sightings)
def test_a_claim_without_a_token_of_ours_is_refused(batch, seen):
    assert isinstance(ruling.claim(seen, None, None, now=NOW), Denied)
    if seen.token is None:
        assert isinstance(ruling.claim(seen, an_intent(), batch, now=NOW), Denied)


@pytest.mark.parametrize("state", [BatchState.DRAFTED, BatchState.RUNNING, BatchState.DELIVERED])
def test_a_claim_of_a_call_that_was_settled_otherwise_is_a_late_twin(state):
    remote = RemoteBatch(id="m1", ended=True, count=3, created_at=NOW)
    batch = Batch(id="b", run="r", count=3, bytes=9, state=state)
    assert isinstance(ruling.claim(Sighting("m1", remote, TOKEN), an_intent(), batch, now=NOW), Late)
