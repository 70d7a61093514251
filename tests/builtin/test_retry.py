"""The standard policy: one table, a test per row, and the settings that change it."""

from typing import Any

import pytest

from batchflow.builtin.retry import DEFAULTS, StandardPolicy, standard
from batchflow.model.words import Word
from batchflow.ports.retry import Accept, GiveUp, Pause, Retry
from batchflow.testing.retry import RetryContract, failure

LARGER = {"max_tokens": {"factor": 2.0, "ceiling": 2000}}


class TestStandard(RetryContract):
    @pytest.fixture
    def policy(self) -> StandardPolicy:
        return standard()


class TestStandardWithEverythingSet(RetryContract):
    @pytest.fixture
    def policy(self) -> StandardPolicy:
        return standard(
            attempts=7,
            refused="deliver",
            truncated={"max_tokens": "1.5x", "ceiling": 900},
            words={"canceled": "again", "rejected": "deliver", "archived": "again"},
        )


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        (Word.OVERLOADED, Retry(30.0)),
        (Word.SERVER_ERROR, Retry(30.0)),
        (Word.EXPIRED, Retry(30.0)),
        (Word.MISSING, Retry(30.0)),
        (Word.RATE_LIMITED, Retry(300.0)),
        (Word.BAD_OUTPUT, Retry(0.0, {"say": ["it did not work"]})),
        (Word.UNFINISHED, Retry(0.0, {"continue": True})),
        (Word.TRUNCATED, GiveUp()),
        (Word.INVALID, GiveUp()),
        (Word.UNKNOWN_MODEL, GiveUp()),
        (Word.REFUSED, GiveUp()),
        (Word.TOO_LARGE, GiveUp()),
        (Word.CONTEXT_EXCEEDED, GiveUp()),
        (Word.BUILD_ERROR, GiveUp()),
        (Word.REJECTED, GiveUp()),
        (Word.CANCELED, GiveUp()),
        (Word.SINK_ERROR, GiveUp()),
        (Word.OK, Accept()),
    ],
)
def test_by_default(word: Word, verdict: object) -> None:
    assert standard().decide(failure(word)) == verdict


@pytest.mark.parametrize(
    ("word", "teaches"),
    [(Word.NO_CREDIT, "Add credit"), (Word.UNAUTHORIZED, "Mend the key"), (Word.ARCHIVED, "archived: again")],
)
def test_what_would_take_every_row_down_pauses_the_run(word: Word, teaches: str) -> None:
    verdict = standard().decide(failure(word, message="the API's own words"))
    assert isinstance(verdict, Pause)
    assert teaches in verdict.why
    assert "the API's own words" in verdict.why


def test_the_table_has_a_row_for_every_word() -> None:
    assert set(DEFAULTS) == set(Word)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_row_is_asked_so_often_and_no_more(attempts: int) -> None:
    policy = standard(attempts=attempts)
    verdicts = [policy.decide(failure(Word.OVERLOADED, attempt=attempt)) for attempt in range(1, attempts + 1)]
    assert [isinstance(verdict, Retry) for verdict in verdicts] == [True] * (attempts - 1) + [False]
    assert verdicts[-1] == GiveUp()


def test_pausing_burns_no_attempt() -> None:
    assert isinstance(standard(attempts=1).decide(failure(Word.NO_CREDIT, attempt=1)), Pause)


@pytest.mark.parametrize("wait", [30.0, 1.0])
def test_waits_grow_with_the_attempt_up_to_an_hour(wait: float) -> None:
    policy = standard(attempts=20, wait=wait)

    def waits(word: Word, *attempts: int) -> list[float]:
        return [policy.decide(failure(word, attempt=attempt)).after for attempt in attempts]

    assert waits(Word.OVERLOADED, 1, 2, 3, 9) == [wait, 4 * wait, 16 * wait, 3600.0]
    assert waits(Word.RATE_LIMITED, 1, 2, 9) == [10 * wait, 40 * wait, 3600.0]
    assert waits(Word.BAD_OUTPUT, 4) == [0.0]


@pytest.mark.parametrize("written", ["2x", "2", 2, 2.0, None])
def test_a_cut_answer_is_asked_again_with_a_larger_cap_where_there_is_a_ceiling(written: object) -> None:
    setting = {"ceiling": 2000} | ({"max_tokens": written} if written is not None else {})
    assert standard(truncated=setting).decide(failure(Word.TRUNCATED)) == Retry(0.0, LARGER)


@pytest.mark.parametrize(("setting", "verdict"), [({"refused": "deliver"}, Accept()), ({"refused": "dead"}, GiveUp())])
def test_a_refusal_may_be_an_answer(setting: dict[str, Any], verdict: object) -> None:
    assert standard(**setting).decide(failure(Word.REFUSED)) == verdict


def test_a_cut_answer_may_be_delivered() -> None:
    assert standard(truncated="deliver").decide(failure(Word.TRUNCATED, attempt=3)) == Accept()


def test_every_reason_of_a_check_is_said_again() -> None:
    verdict = standard().decide(failure(Word.BAD_OUTPUT, message="$.a: wrong\n$.b: missing"))
    assert verdict == Retry(0.0, {"say": ["$.a: wrong", "$.b: missing"]})


def test_words_have_the_last_say() -> None:
    policy = standard(refused="deliver", words={"refused": "again", "overloaded": "dead", "bad_output": "deliver"})
    assert policy.decide(failure(Word.REFUSED)) == Retry()
    assert policy.decide(failure(Word.OVERLOADED)) == GiveUp()
    assert policy.decide(failure(Word.BAD_OUTPUT)) == Accept()


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"attempts": 0}, "at least 1"),
        ({"attempts": 21}, "at most 20"),
        ({"words": {"overladed": "dead"}}, "did you mean 'overloaded'"),
        ({"words": {"no_credit": "dead"}}, "always pauses"),
        ({"words": {"unauthorized": "again"}}, "always pauses"),
        ({"words": {"expired": "deliver"}}, "leaves no answer"),
        ({"words": {"truncated": "again"}}, "same cut answer"),
        ({"truncated": {"max_tokens": "2x"}}, "ceiling"),
        ({"truncated": {"ceiling": 2000, "factor": 2}}, "ceiling"),
        ({"truncated": {"ceiling": 0}}, "ceiling"),
        ({"truncated": {"max_tokens": "1x", "ceiling": 2000}}, "like 2x"),
        ({"truncated": {"max_tokens": "double", "ceiling": 2000}}, "like 2x"),
        ({"truncated": {"max_tokens": "inf", "ceiling": 2000}}, "like 2x"),
    ],
)
def test_settings_that_would_cost_rows_or_money_are_refused(setting: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        standard(**setting)
