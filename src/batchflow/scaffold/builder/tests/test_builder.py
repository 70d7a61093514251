"""The builder against every promise of a request builder."""

import pytest
from batchflow import Plugins
from batchflow.plugin import Record, Skip
from batchflow.testing import BuilderContract

import your_plugin
from your_plugin.builder import Question
from your_plugin.builder import builder as make


def asking() -> Question:
    return make(ask="What is this about?", model="claude-haiku-4-5")


class TestBuilder(BuilderContract):
    @pytest.fixture
    def builder(self):
        return asking()

    @pytest.fixture
    def records(self):
        texts = ["plain", "two\nlines", 'a "quoted" word', "\u2028 \U0001f600", "  ", "{{ no template }}"]
        return [Record(f"k{n}", {"text": text}, f"in:{n}") for n, text in enumerate(texts)]

    @pytest.fixture
    def hopeless(self):
        return [Record("a", {}, "in:1"), Record("b", {"text": None}, "in:2"), Record("c", {"text": 7}, "in:3")]


def test_the_question_comes_before_the_text():
    built = asking().build(Record("a", {"text": "A leaking roof."}, "in:1"))
    assert not isinstance(built, Skip)
    assert built["messages"] == [{"role": "user", "content": "What is this about?\n\nA leaking roof."}]


def test_an_empty_column_costs_nothing():
    assert asking().build(Record("a", {"text": " "}, "in:1")) == Skip("`text` is empty")


def test_a_missing_column_is_known_before_the_run():
    assert asking().problems(frozenset({"title"}), version="") == ["there is no column `text`"]
    assert asking().problems(None, version="") == []


def test_an_answer_of_no_length_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        make(ask="?", model="claude-haiku-4-5", max_tokens=0)


def test_an_app_finds_it_by_its_name():
    plugins = Plugins([your_plugin], entry_points=False)
    assert isinstance(plugins.builder("your_part")(ask="?", model="claude-haiku-4-5"), Question)
