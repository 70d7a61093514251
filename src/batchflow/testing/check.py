"""What every check on results must keep: subclass, give a check, some good results and some bad ones."""

import copy

import pytest

from batchflow.model.result import Bad, Result
from batchflow.model.words import Word
from batchflow.ports.check import Check


class CheckContract:
    """Gives a check's tests. Override `check`, `good` and `bad`."""

    @pytest.fixture
    def check(self) -> Check:
        """The check under test."""
        raise NotImplementedError("give a `check` fixture")

    @pytest.fixture
    def good(self) -> list[Result]:
        """Results that the check passes on."""
        raise NotImplementedError("give a `good` fixture")

    @pytest.fixture
    def bad(self) -> list[Result]:
        """Results that the check refuses."""
        raise NotImplementedError("give a `bad` fixture")

    def test_it_is_a_check(self, check: Check) -> None:
        assert isinstance(check, Check)

    def test_there_are_results_of_both_kinds_to_judge_it_by(self, good: list[Result], bad: list[Result]) -> None:
        assert good
        assert bad

    def test_a_good_result_passes(self, check: Check, good: list[Result]) -> None:
        assert all(isinstance(check.check(result), Result) for result in good)

    def test_a_bad_result_does_not(self, check: Check, bad: list[Result]) -> None:
        assert all(isinstance(check.check(result), Bad) for result in bad)

    def test_a_verdict_gives_reasons(self, check: Check, bad: list[Result]) -> None:
        assert all(verdict.reasons and all(verdict.reasons) for verdict in verdicts(check, bad))

    def test_reasons_are_short_enough_to_send_back(self, check: Check, bad: list[Result]) -> None:
        assert all(sum(map(len, verdict.reasons)) <= 4000 for verdict in verdicts(check, bad))

    def test_a_verdicts_word_is_about_the_answer(self, check: Check, bad: list[Result]) -> None:
        assert {verdict.word for verdict in verdicts(check, bad)} <= {Word.BAD_OUTPUT, Word.REJECTED}

    def test_a_result_that_passed_may_come_again(self, check: Check, good: list[Result]) -> None:
        for result in good:
            once = check.check(result)
            assert isinstance(once, Result)
            assert check.check(copy.copy(once)) == once

    def test_the_same_result_gets_the_same_verdict(self, check: Check, bad: list[Result]) -> None:
        assert verdicts(check, copy.deepcopy(bad)) == verdicts(check, bad)

    def test_what_a_row_is_stays_as_it_was(self, check: Check, good: list[Result]) -> None:
        before = [identity(result) for result in good]
        passed = [check.check(result) for result in good]
        assert [identity(result) for result in passed if isinstance(result, Result)] == before

    def test_what_a_row_cost_stays_as_it_was(self, check: Check, good: list[Result]) -> None:
        before = [(result.cost, result.list_cost, result.usage) for result in copy.deepcopy(good)]
        passed = [check.check(result) for result in good]
        assert [
            (result.cost, result.list_cost, result.usage) for result in passed if isinstance(result, Result)
        ] == before

    def test_a_refused_result_is_left_as_it_was(self, check: Check, bad: list[Result]) -> None:
        before = copy.deepcopy(bad)
        verdicts(check, bad)
        assert bad == before

    def test_a_bad_result_does_not_spoil_the_next(self, check: Check, good: list[Result], bad: list[Result]) -> None:
        alone = check.check(copy.copy(good[0]))
        verdicts(check, bad)
        assert check.check(copy.copy(good[0])) == alone


def verdicts(check: Check, results: list[Result]) -> list[Bad]:
    """Checks results and keeps what was said against them."""
    return [verdict for verdict in map(check.check, results) if isinstance(verdict, Bad)]


def identity(result: Result) -> tuple[str, int, str, int, str]:
    """Which row a result is."""
    return result.key, result.attempt, result.batch, result.row, result.origin
