"""The question against every promise of a request builder."""

import pytest
from batchflow_example.question import question

from batchflow.plugin import Record, Skip
from batchflow.testing import BuilderContract


@pytest.fixture
def builder():
    return question(ask="What is this about?", column="text", model="claude-haiku-4-5")


class TestQuestion(BuilderContract):
    @pytest.fixture
    def builder(self, builder):
        return builder

    @pytest.fixture
    def records(self):
        texts = ["plain", "two\nlines", 'a "quoted" word', "\u2028 \U0001f600", "  ", "{{ not a template }}"]
        return [Record(f"k{n}", {"text": text}, f"in:{n}") for n, text in enumerate(texts)]

    @pytest.fixture
    def hopeless(self):
        return [Record("a", {}, "in:1"), Record("b", {"text": None}, "in:2"), Record("c", {"text": 7}, "in:3")]


def test_the_question_comes_before_the_text(builder):
    built = builder.build(Record("a", {"text": "A leaking roof."}, "in:1"))
    assert built["messages"] == [{"role": "user", "content": "What is this about?\n\nA leaking roof."}]


def test_an_empty_column_costs_nothing(builder):
    assert builder.build(Record("a", {"text": " "}, "in:1")) == Skip("`text` is empty")


def test_a_missing_column_is_known_before_the_run(builder):
    assert builder.problems(frozenset({"title"}), version="") == ["there is no column `text`"]
    assert builder.problems(None, version="") == []


def test_an_answer_of_no_length_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        question(ask="?", column="text", model="m", max_tokens=0)
