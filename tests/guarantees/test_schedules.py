"""Random schedules in virtual time: faults, processes that vanish, clocks that jump, and operators who change their minds.

Hypothesis draws them, and shrinks what fails to a short list of steps, printed with the seed. What must hold is looked at
in every commit and at every create call (tests/support/schedules.py): the books balance and are what the entities add up
to, each row is in one place, nothing goes backwards, no token is posted twice or without its intent, and no batch is sent
beside one of the same size whose fate is unknown. When all is well again, each schedule must come to an end in which
everything was delivered once and paid once; where somebody said wrongly that a call made nothing, all that was paid is known.

    pytest tests/guarantees/test_schedules.py --schedules 20000 --schedule-seed 7
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from schedules import Schedule
from virtual import no_threads

from batchflow.engine import driver, nap
from batchflow.machine import cadence
from batchflow.model.words import Word

LANES = 8
STEPS = 10

CALLS = [
    "create:{}:reset_before",
    "create:{}:reset_before,at_byte=100",
    "create:{}:reset_after",
    "create:{}:late,seconds=20",
    "create:{}:late,seconds=45",
    "create:{0}:reset_after & create:{0}:unlisted,seconds=25",
    "create:{0}:status_after,status=504 & create:{0}:unlisted,seconds=45",
    "create:{0}:slow,seconds=90,when=before & create:{0}:unlisted,seconds=50",
    "create:{}:slow,seconds=90",
    "create:{}:slow,seconds=90,when=before",
    "create:{}:redirect",
    "create:{}:status,status=408",
    "create:{}:status,status=503",
    "create:{}:status,status=429,retry_after=30",
    "create:{}:status_after,status=500",
    "create:{}:status_after,status=504,body=html",
    "create:{}:status_after,status=409",
    "create:{}:lookalike,rows=2",
    "create:{}:unlisted,seconds=25",
    "create:{}:hidden,seconds=25",
    "create:{}:credit",
    "create:{}:revoked",
    "create:{}:max_requests,limit=3",
    "create:{}:duration,seconds=200",
    "list:{}:status,status=500",
    "list:{}:status,status=429",
    "list:{}:omit",
    "list:{}:reset_before",
    "list:{}:slow,seconds=70",
    "list+retrieve:{}:gradual_counts",
    "list+retrieve:{}:lying_counts",
    "list+retrieve:{}:unknown_status",
    "all:{}:omit_nulls",
    "retrieve:{}:status,status=404",
    "retrieve:{}:status,status=529",
    "retrieve:{}:reset_after",
    "cancel:{}:reset_after",
    "cancel:{}:status,status=500",
    "cancel:{}:spare",
    "results:{}:truncate",
    "results:{}:truncate,framing=close",
    "results:{}:reset_body",
    "results:{}:missing_rows,rows=2",
    "results:{}:malformed_rows,rows=2",
    "results:{}:foreign_rows,rows=2",
    "results:{}:duplicate_rows,rows=2",
    "results:{}:gzip",
    "results:{}:status,status=404",
    "results:{}:unknown_result",
]
WORDS = [
    "row:number 2:overloaded",
    "row:number 1:pause_turn",
    "row:number 4:max_tokens",
    "row:20%:server_error",
    "row:number 3:credit",
    "row:number 9:invalid",
    "row:number 5:missing",
    "row:number 6:expired,times=2",
]
PLACES = [
    "before a commit", "after a commit", "before an object", "amid an object", "after an object", "amid a part", "after a part",
    "call begins", "body on its way", "call answered", "reply on its way",
]  # fmt: skip
SECONDS = [0.2, 1, 3, 10, 30, 100]

creates = [call for call in CALLS if call.startswith("create")]
faults = st.builds(str.format, st.sampled_from(creates) | st.sampled_from(CALLS), st.integers(1, 3))
deaths = st.tuples(st.sampled_from(PLACES), st.integers(1, 12))
"""A process ends when it comes to such a place for the n-th time."""


class Story(RuleBasedStateMachine):
    """The life of one job, as badly as it can be dealt with."""

    def __init__(self):
        super().__init__()
        self._schedule = None
        self._failed = False

    @initialize(
        dice=st.integers(0, 99), rows=st.integers(1, 60), most=st.integers(4, 12), flying=st.integers(1, 4),
        words=st.lists(st.sampled_from(WORDS), max_size=3, unique=True), flags=st.lists(faults, max_size=4), death=deaths,
        hold=st.booleans(), refusing=st.booleans(),
    )  # fmt: skip
    def begin(self, dice, rows, most, flying, words, flags, death, hold, refusing):
        self._folder = TemporaryDirectory()
        self._schedule = Schedule(
            Path(self._folder.name),
            seed=dice,
            rows=rows,
            most=most,
            flying=flying,
            words=words,
            hold=hold,
            refusing=refusing,
        )
        self._hold = hold
        self._schedule.die(*death)
        for flag in flags:
            self._schedule.fault(flag)

    def _do(self, step, *args):
        try:
            return step(*args)
        except BaseException:
            self._failed = True
            raise

    @rule(seconds=st.sampled_from(SECONDS))
    def a_process_works_for(self, seconds):
        self._do(self._schedule.go, seconds)

    @rule(flag=faults, seconds=st.sampled_from(SECONDS))
    def a_call_goes_wrong(self, flag, seconds):
        self._schedule.fault(flag)
        self._do(self._schedule.go, seconds)

    @rule(death=deaths, seconds=st.sampled_from(SECONDS))
    def the_process_dies(self, death, seconds):
        self._schedule.die(*death)
        self._do(self._schedule.go, seconds)

    @rule()
    def somebody_else_makes_a_batch_of_the_same_size(self):
        self._schedule.lookalike()

    @rule(seconds=st.sampled_from(SECONDS))
    def the_network_is_down_for(self, seconds):
        self._schedule.down(seconds)

    @rule(seconds=st.sampled_from([20, 100, 3600]))
    def the_process_is_stopped_for(self, seconds):
        self._schedule.sleep(seconds)

    @rule(seconds=st.sampled_from([-3600, -60, 60, 3600]))
    def the_clock_is_set(self, seconds):
        self._schedule.wall(seconds)

    @rule()
    def somebody_presses_ctrl_c(self):
        self._schedule.stop()

    @rule(seconds=st.sampled_from(SECONDS))
    def somebody_pauses_it(self, seconds):
        self._schedule.wish("pause")
        self._do(self._schedule.go, seconds)

    @precondition(lambda self: not self._schedule.canceled)
    @rule(seconds=st.sampled_from(SECONDS))
    def somebody_cancels_it(self, seconds):
        self._schedule.wish("cancel")
        self._do(self._schedule.go, seconds)

    @rule(words=st.sets(st.sampled_from([Word.INVALID, Word.SERVER_ERROR, Word.CANCELED, Word.SINK_ERROR]), min_size=1))
    def dead_letters_are_asked_again(self, words):
        self._schedule.retry(tuple(sorted(words)))

    @precondition(lambda self: self._hold)
    @rule(number=st.integers(1, 3), seconds=st.sampled_from(SECONDS))
    def a_batch_is_out_of_sight_for_longer_than_the_grace(self, number, seconds):
        self._schedule.fault(f"create:{number}:reset_after & create:{number}:unlisted,seconds=2000")
        self._do(self._schedule.go, seconds)

    @precondition(lambda self: self._hold)
    @rule(hidden=st.sampled_from([300, 1000, 2000]), seconds=st.sampled_from(SECONDS))
    def two_calls_for_the_same_rows_are_out_of_sight(self, hidden, seconds):
        """Somebody says of the first, wrongly, that it made nothing: what that costs is booked, and nothing is lost of it."""
        self._schedule.fault(f"create:1:reset_after & create:1:unlisted,seconds={hidden}")
        self._do(self._schedule.go, 400)
        self._schedule.say_absent()
        self._schedule.fault("create:1:reset_after & create:1:unlisted,seconds=2000")
        self._do(self._schedule.go, seconds)

    @rule()
    def somebody_looks_at_what_is_in_doubt(self):
        self._schedule.look()

    @rule()
    def the_sink_is_mended(self):
        self._schedule.mend()

    @rule(sink=st.sampled_from(["good", "dead"]))
    def what_a_sink_was_given_is_brought_again(self, sink):
        self._schedule.replay(sink)

    def teardown(self):
        if self._schedule is None:
            return
        try:
            if not self._failed:
                self._schedule.finish()
        finally:
            self._schedule.close()
            self._folder.cleanup()


def tell(schedules, number):
    """Tells so many schedules; the number makes them others than those of other lanes."""
    rules = settings(
        max_examples=schedules, stateful_step_count=STEPS, deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    # Everybody looks round less often than in real time, for most of a schedule is waiting, and each look costs a millisecond.
    seldom = (
        patch.object(nap, "LISTEN", 30.0),
        patch.object(driver, "IDLE", 2.0),
        patch.object(cadence, "QUICKEST", 6.0),
    )
    with no_threads(), seldom[0], seldom[1], seldom[2]:
        run_state_machine_as_test(seed(number)(Story), settings=rules, _min_steps=STEPS)


def test_some_random_schedules_keep_every_promise(schedule_seed):
    tell(40, schedule_seed)


@pytest.mark.slow
@pytest.mark.parametrize("lane", range(LANES))
def test_random_schedules_keep_every_promise(request, schedule_seed, lane):
    tell(-(-request.config.getoption("--schedules") // LANES), schedule_seed + 1 + lane)
