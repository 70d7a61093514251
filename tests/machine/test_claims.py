"""Whose batch is it? Whatever the listing shows, nothing is called absent that could be there."""

from hypothesis import assume, given
from hypothesis import strategies as st

from batchflow.machine.claims import (
    LISTINGS,
    LONGEST,
    PATIENCE,
    SLACK,
    Adopt,
    Ask,
    GoneMissing,
    Wait,
    believed,
    candidates_of,
    judge,
)
from batchflow.model.remote import RemoteBatch
from batchflow.model.state import Binding, Intent

NOW = 1_000_000.0
BINDING = Binding(base_url="https://api.example", key="k")


def an_intent(token="t1", count=3, *, healthy=0, watermark=NOW - 100):
    return Intent(
        token=token,
        run="r",
        batch=f"batch-{token}",
        count=count,
        at=NOW,
        last_byte_at=NOW,
        watermark=watermark,
        binding=BINDING,
        healthy=healthy,
    )


def a_remote(id="m1", count=3, *, ended=False, created_at=NOW, expires_at=NOW + LONGEST, **counts):
    done = {"succeeded": count} if ended and not counts else counts
    return RemoteBatch(id=id, ended=ended, count=count, created_at=created_at, expires_at=expires_at, **done)


def verdict(intent, *unknown, tokens=None, now=NOW, patient=True):
    return judge([intent], unknown, tokens or {}, now=now, patient={intent.token} if patient else ())[intent.token]


remotes = st.lists(
    st.builds(
        a_remote,
        st.sampled_from(["m1", "m2", "m3", "m4"]),
        st.sampled_from([0, 2, 3, 5]),
        ended=st.booleans(),
        created_at=st.sampled_from([NOW - 5000, NOW - 650, NOW, NOW + 100]),
        expires_at=st.sampled_from([None, NOW - 2 * PATIENCE, NOW + LONGEST]),
    ),
    unique_by=lambda remote: remote.id,
    max_size=4,
)
intents = st.lists(
    st.builds(
        an_intent,
        st.sampled_from(["t1", "t2", "t3"]),
        st.sampled_from([2, 3]),
        healthy=st.integers(0, 3),
    ),
    unique_by=lambda intent: intent.token,
    min_size=1,
    max_size=3,
)
looked_for_long = st.sets(st.sampled_from(["t1", "t2", "t3"]))
read_tokens = st.dictionaries(st.sampled_from(["m1", "m2", "m3", "m4"]), st.sampled_from(["t1", "t2", "t3", "other"]))


@given(intents, remotes, read_tokens, looked_for_long)
def test_every_verdict_can_be_justified(open_intents, unknown, tokens, patient):
    verdicts = judge(open_intents, unknown, tokens, now=NOW, patient=patient)
    assert set(verdicts) == {intent.token for intent in open_intents}
    claims = {intent.token: candidates_of(intent, unknown, tokens) for intent in open_intents}
    adopted = []
    for intent in open_intents:
        found = claims[intent.token]
        match verdicts[intent.token]:
            case GoneMissing():
                assert not found
                assert intent.healthy + 1 >= LISTINGS
                assert intent.token in patient
            case Adopt(remote=remote, proven=True):
                assert tokens[remote.id] == intent.token
                adopted.append(remote.id)
            case Adopt(remote=remote, proven=False):
                assert found == [remote]
                assert remote.count == intent.count
                rivals = [other for other in claims if other != intent.token and not proof_of(other, unknown, tokens)]
                assert not any(remote in claims[other] for other in rivals)
                adopted.append(remote.id)
            case Ask():
                assert found
            case Wait(shown=shown):
                assert shown == bool(found)
    assert len(adopted) == len(set(adopted)), "one batch was given to two"


def proof_of(token, unknown, tokens):
    return any(tokens.get(remote.id) == token for remote in unknown)


@given(intents, remotes, read_tokens)
def test_nothing_is_absent_while_a_batch_could_be_it(open_intents, unknown, tokens):
    """Could be it: the right count or none that tells, young enough, and not shown to be somebody else's."""
    verdicts = judge(open_intents, unknown, tokens, now=NOW, patient={"t1", "t2", "t3"})
    for intent in open_intents:
        for remote in unknown:
            young = remote.created_at >= intent.watermark - SLACK
            fits = remote.count in {0, intent.count} or believed(remote) == 0
            if young and fits and tokens.get(remote.id, intent.token) == intent.token:
                assert not isinstance(verdicts[intent.token], GoneMissing)


@given(intents, remotes, read_tokens)
def test_the_order_of_a_listing_decides_nothing(open_intents, unknown, tokens):
    assume(all(list(tokens.values()).count(intent.token) < 2 for intent in open_intents))
    forward = judge(open_intents, unknown, tokens, now=NOW, patient={"t1", "t2", "t3"})
    backward = judge(open_intents[::-1], unknown[::-1], tokens, now=NOW, patient={"t1", "t2", "t3"})
    assert {token: type(one) for token, one in forward.items()} == {token: type(one) for token, one in backward.items()}


def test_a_single_candidate_is_taken_at_once_and_proven_later():
    assert verdict(an_intent(), a_remote()) == Adopt(a_remote(), proven=False)


def test_a_token_is_proof_among_any_number_of_look_alikes():
    unknown = [a_remote(f"m{n}", ended=True) for n in range(10)]
    assert verdict(an_intent(), *unknown, tokens={"m7": "t1"}) == Adopt(unknown[7], proven=True)


def test_two_candidates_wait_for_proof():
    assert verdict(an_intent(healthy=9), a_remote("m1"), a_remote("m2")).shown


def test_two_intents_of_one_count_do_not_both_take_the_only_batch():
    verdicts = judge([an_intent("t1"), an_intent("t2")], [a_remote()], {}, now=NOW, patient={"t1", "t2", "t3"})
    assert all(isinstance(one, Wait) for one in verdicts.values())


def test_the_other_is_found_once_the_first_is_proven():
    verdicts = judge(
        [an_intent("t1"), an_intent("t2")],
        [a_remote("m1", ended=True), a_remote("m2")],
        {"m1": "t2"},
        now=NOW,
        patient=(),
    )
    assert verdicts == {"t1": Adopt(a_remote("m2"), proven=False), "t2": Adopt(a_remote("m1", ended=True), proven=True)}


def test_absence_needs_two_listings_and_the_grace():
    assert isinstance(verdict(an_intent(healthy=0)), Wait)
    assert isinstance(verdict(an_intent(healthy=1), patient=False), Wait)
    assert isinstance(verdict(an_intent(healthy=1)), GoneMissing)


def test_a_batch_shown_to_be_somebody_elses_is_no_candidate():
    gone = an_intent(healthy=1)
    assert isinstance(verdict(gone, a_remote(ended=True), tokens={"m1": "other"}), GoneMissing)


def test_a_batch_from_long_before_the_call_is_no_candidate():
    assert not candidates_of(an_intent(), [a_remote(created_at=NOW - 100 - SLACK - 1)], {})


def test_a_batch_that_tells_no_count_could_be_any_and_is_not_taken_unproven():
    assert isinstance(verdict(an_intent(healthy=5), a_remote(count=0)), Wait)


def test_counters_that_cannot_be_true_tell_nothing():
    """At work, with nothing left to process: real counters always leave something."""
    lying = RemoteBatch(id="m1", ended=False, count=6, succeeded=1, errored=4, canceled=1, created_at=NOW)
    assert believed(lying) == 0
    assert isinstance(verdict(an_intent(healthy=5), lying), Wait)
    gradual = RemoteBatch(id="m1", ended=False, count=3, succeeded=2, created_at=NOW)
    assert verdict(an_intent(), gradual) == Adopt(gradual, proven=False)


def test_candidates_that_should_have_ended_long_ago_are_a_matter_for_a_person():
    stuck = [a_remote(f"m{n}") for n in range(2)]
    assert isinstance(verdict(an_intent(), *stuck, now=NOW + LONGEST + PATIENCE - 1), Wait)
    asked = verdict(an_intent(), *stuck, now=NOW + LONGEST + PATIENCE + 1)
    assert isinstance(asked, Ask)
    assert "m0, m1" in asked.why


def test_candidates_whose_token_can_never_be_read_are_not_waited_for_for_ever():
    silent = [a_remote(f"m{n}", ended=True, expires_at=None) for n in range(2)]
    assert isinstance(verdict(an_intent(), *silent, now=NOW + LONGEST + PATIENCE + 1), Ask)
