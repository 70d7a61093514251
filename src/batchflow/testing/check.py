"""What every check on results must keep: subclass, give a check, some good results and some bad ones."""

import copy

import msgspec
import pytest

from batchflow.model.result import Bad, Result
from batchflow.model.words import Word
from batchflow.ports.check import Check

ODD_TEXTS = {
    "empty": "",
    "blank": " \n\t ",
    "every kind of character": "\u0000 \u2028 \ufeff é 漢字 \U0001f469\u200d\U0001f680",
    "half a table": '{"a": [1, 2',
    "a megabyte": "x" * 1_000_000,
    "deeper than anybody reads": "[" * 5_000,
}
"""What models have said instead of an answer."""


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
        """Results that the check refuses; none where it only changes what passes, such as one that redacts."""
        raise NotImplementedError("give a `bad` fixture")

    def test_it_is_a_check(self, check: Check) -> None:
        assert isinstance(check, Check)

    def test_there_are_results_to_judge_it_by(self, good: list[Result]) -> None:
        assert good

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

    def test_what_passed_has_a_word_that_there_is(self, check: Check, good: list[Result]) -> None:
        words = [passed.word for result in good if isinstance(passed := check.check(result), Result)]
        assert all(type(word) is Word for word in words), f"a row's word is a `Word`, and these are {words}"

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

    @pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
    def test_whatever_the_answer_says_there_is_a_verdict(self, check: Check, good: list[Result], text: str) -> None:
        assert isinstance(check.check(msgspec.structs.replace(good[0], text=text)), Result | Bad)

    def test_carried_columns_come_through(self, check: Check, good: list[Result]) -> None:
        carrying = [msgspec.structs.replace(result, carried={**result.carried, "__more": "x"}) for result in good]
        passed = [check.check(result) for result in carrying]
        assert all("__more" in result.carried for result in passed if isinstance(result, Result))

    def test_reasons_can_be_written_down(self, check: Check, bad: list[Result]) -> None:
        assert all(msgspec.json.encode(verdict.reasons) for verdict in verdicts(check, bad))


def verdicts(check: Check, results: list[Result]) -> list[Bad]:
    """Checks results and keeps what was said against them."""
    return [verdict for verdict in map(check.check, results) if isinstance(verdict, Bad)]


def identity(result: Result) -> tuple[str, int, str, int, str]:
    """Which row a result is."""
    return result.key, result.attempt, result.batch, result.row, result.origin
