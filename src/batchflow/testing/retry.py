"""What every retry policy must keep: subclass and give a policy."""

import copy
import math
from typing import Any

import msgspec
import pytest

from batchflow.model.words import BILLED, Word
from batchflow.ports.retry import Accept, Failure, GiveUp, Pause, Retry, RetryPolicy

MANY_ATTEMPTS = 1000
SILENT = frozenset({Word.OK, Word.SINK_ERROR})
"""Words that no policy is asked about: success, and trouble behind the answer."""


def failure(word: Word, *, attempt: int = 1, message: str = "it did not work") -> Failure:
    """Makes one row's bad news."""
    return Failure(word=word, message=message, key="k-1", carried={"tenant": "north"}, attempt=attempt)


class RetryContract:
    """Gives a retry policy's tests. Override `policy`."""

    @pytest.fixture
    def policy(self) -> RetryPolicy:
        """The policy under test."""
        raise NotImplementedError("give a `policy` fixture")

    @pytest.fixture(params=sorted(set(Word) - SILENT))
    def word(self, request: pytest.FixtureRequest) -> Word:
        """Each word that a row can fail with."""
        return Word(request.param)

    def test_it_is_a_policy(self, policy: RetryPolicy) -> None:
        assert isinstance(policy, RetryPolicy)

    def test_every_word_has_a_verdict(self, policy: RetryPolicy, word: Word) -> None:
        assert isinstance(policy.decide(failure(word)), Retry | GiveUp | Accept | Pause)

    def test_a_word_without_a_message_has_a_verdict(self, policy: RetryPolicy, word: Word) -> None:
        assert isinstance(policy.decide(failure(word, message="")), Retry | GiveUp | Accept | Pause)

    def test_no_row_is_asked_for_ever(self, policy: RetryPolicy, word: Word) -> None:
        assert not isinstance(policy.decide(failure(word, attempt=MANY_ATTEMPTS)), Retry)

    def test_waits_are_finite_and_not_negative(self, policy: RetryPolicy, word: Word) -> None:
        waits = [
            verdict.after
            for attempt in range(1, 20)
            if isinstance(verdict := policy.decide(failure(word, attempt=attempt)), Retry)
        ]
        assert all(math.isfinite(wait) and wait >= 0 for wait in waits)

    def test_waits_do_not_shrink(self, policy: RetryPolicy, word: Word) -> None:
        waits = [
            verdict.after
            for attempt in range(1, 20)
            if isinstance(verdict := policy.decide(failure(word, attempt=attempt)), Retry)
        ]
        assert waits == sorted(waits)

    def test_a_pause_says_why(self, policy: RetryPolicy, word: Word) -> None:
        verdict = policy.decide(failure(word))
        assert not isinstance(verdict, Pause) or verdict.why

    def test_only_answers_are_accepted(self, policy: RetryPolicy, word: Word) -> None:
        assert word in BILLED or not isinstance(policy.decide(failure(word)), Accept)

    def test_a_change_is_an_object_of_json(self, policy: RetryPolicy, word: Word) -> None:
        for attempt in range(1, 20):
            if isinstance(verdict := policy.decide(failure(word, attempt=attempt)), Retry):
                change: object = verdict.change
                assert type(change) is dict, (
                    f"attempt {attempt}: a change is an object (a dict), and this is {change!r}"
                )
                assert _kept(verdict.change) == verdict.change, f"attempt {attempt}: JSON cannot hold {change!r}"

    def test_the_same_failure_gets_the_same_verdict(self, policy: RetryPolicy, word: Word) -> None:
        assert policy.decide(failure(word)) == policy.decide(failure(word))

    def test_what_came_before_does_not_matter(self, policy: RetryPolicy, word: Word) -> None:
        alone = policy.decide(failure(word))
        for other in Word:
            if other not in SILENT:
                policy.decide(failure(other, attempt=2))
        assert policy.decide(failure(word)) == alone

    def test_a_verdict_that_is_changed_by_its_reader_is_not_remembered(self, policy: RetryPolicy, word: Word) -> None:
        verdict = policy.decide(failure(word))
        if isinstance(verdict, Retry):
            untouched = copy.deepcopy(verdict)
            verdict.change["spoilt"] = True
            assert policy.decide(failure(word)) == untouched

    def test_an_empty_account_never_buries_rows(self, policy: RetryPolicy) -> None:
        for word in (Word.NO_CREDIT, Word.UNAUTHORIZED):
            assert not isinstance(policy.decide(failure(word, attempt=MANY_ATTEMPTS)), GiveUp)

    @pytest.mark.parametrize("message", ["\u2028 漢字 \U0001f680", "x" * 100_000], ids=["characters", "a long one"])
    def test_whatever_the_message_says_there_is_a_verdict(self, policy: RetryPolicy, word: Word, message: str) -> None:
        assert isinstance(policy.decide(failure(word, message=message)), Retry | GiveUp | Accept | Pause)

    def test_a_row_that_carries_nothing_has_a_verdict(self, policy: RetryPolicy, word: Word) -> None:
        bare = msgspec.structs.replace(failure(word), carried={})
        assert isinstance(policy.decide(bare), Retry | GiveUp | Accept | Pause)

    def test_what_a_row_carried_stays_as_it_was(self, policy: RetryPolicy, word: Word) -> None:
        told = failure(word)
        policy.decide(told)
        assert told == failure(word)


def _kept(change: dict[str, Any]) -> object:
    """Gives what a store has of a change; nothing where it is nothing that JSON can hold."""
    try:
        return msgspec.json.decode(msgspec.json.encode(change))
    except (TypeError, ValueError):
        return None
