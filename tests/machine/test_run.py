"""Any sequence of events takes a run only where an arrow leads; what was read stays read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.machine.run import (
    LIVE,
    OPEN,
    TABLE,
    Broke,
    CancelWished,
    Paused,
    Read,
    Reawakened,
    Resumed,
    Settled,
    step,
)
from batchflow.model.errors import IllegalTransition
from batchflow.model.record import Position
from batchflow.model.state import Run, RunState
from batchflow.model.words import Word

S = RunState


def fresh(**fields):
    return Run(**{"id": "r", "job": "j"} | fields)


OTHERS = st.one_of(
    st.builds(Paused, why=st.just("credit"), word=st.sampled_from([None, Word.NO_CREDIT])),
    st.builds(Resumed),
    st.builds(CancelWished),
    st.builds(Settled, at=st.floats(0, 1e9)),
    st.builds(Reawakened),
    st.builds(Broke, why=st.just("plugin")),
)
READS = st.booleans()
"""Whether the source came to its end with this pack."""


@given(st.lists(OTHERS | READS, max_size=40))
def test_a_run_goes_only_where_an_arrow_leads(history):
    run, at = fresh(), 0
    for one in history:
        event = Read(Position({"at": at + 1}), one, run.position) if isinstance(one, bool) else one
        if type(event) not in TABLE[run.state]:
            with pytest.raises(IllegalTransition):
                step(run, event)
            continue
        after = step(run, event)
        assert after.state in TABLE[run.state][type(event)]
        assert after.version == run.version + 1
        assert after.read_all >= run.read_all
        assert after.cancel >= run.cancel or isinstance(event, Reawakened)
        if after.state is S.RUNNING:
            assert not after.read_all
        if after.state is S.DRAINING:
            assert after.read_all or isinstance(event, Reawakened)
        at += isinstance(event, Read)
        assert (after.position.cursor or {"at": 0}) == {"at": at}
        run = after


def test_reading_from_a_place_where_the_run_is_not_is_refused():
    """Two readers of one run would pay for every record twice."""
    run = step(fresh(), Read(Position({"at": 500}, 3), ended=False))
    with pytest.raises(IllegalTransition, match="somebody else reads it too"):
        step(run, Read(Position({"at": 500}), ended=False, since=Position()))
    assert step(run, Read(Position({"at": 900}), ended=True, since=Position({"at": 500}, 3))).state is S.DRAINING


def test_a_place_that_came_back_from_a_store_is_the_same_place():
    run = fresh(position=Position({"files": ["a", 3], "b": 1}))
    assert step(run, Read(Position({"at": 1}), ended=False, since=Position({"b": 1, "files": ("a", 3)})))


@pytest.mark.parametrize("state", [S.PAUSED, S.FAILED])
def test_a_pack_in_hand_is_still_committed_when_the_run_stops(state):
    run = step(fresh(state=state), Read(Position({"at": 1}), ended=True))
    assert (run.state, run.read_all) == (state, True)
    assert step(run, Resumed()).state is S.DRAINING


def test_a_canceled_run_reads_no_further_whatever_the_pack_in_hand_says():
    run = step(fresh(), CancelWished())
    run = step(run, Read(Position({"at": 1}), ended=False))
    assert (run.state, run.read_all, run.cancel) == (S.DRAINING, True, True)
    assert step(run, Settled(1.0)).state is S.CANCELED


@pytest.mark.parametrize("state", sorted(OPEN))
def test_every_unfinished_run_can_be_canceled_and_resumed(state):
    assert step(fresh(state=state), CancelWished()).state is S.DRAINING
    assert step(fresh(state=state), Resumed()).state in LIVE


def test_a_pause_says_why_until_it_is_over():
    run = step(fresh(), Paused("no credit", Word.NO_CREDIT))
    assert (run.why, run.word) == ("no credit", Word.NO_CREDIT)
    assert (step(run, Resumed()).why, step(run, Resumed()).word) == ("", None)
