"""The check against every promise of a check."""

import pytest
from batchflow import Plugins
from batchflow.plugin import Bad, Result, Word
from batchflow.testing import CheckContract

import your_plugin
from your_plugin.check import AtLeast
from your_plugin.check import check as make


def answered(text: str) -> Result:
    return Result(key="a", word=Word.OK, attempt=1, batch="b", row=0, origin="in:1", carried={}, text=text)


class TestCheck(CheckContract):
    @pytest.fixture
    def check(self):
        return make(words=5)

    @pytest.fixture
    def good(self):
        return [answered("it is five words long"), answered("this one is a little longer still")]

    @pytest.fixture
    def bad(self):
        return [answered(""), answered("four words, no more")]


def test_the_model_is_told_how_many_words_there_were():
    told = Bad(("the answer has 2 words, and should have at least 5",))
    assert make(words=5).check(answered("too short")) == told


def test_an_app_finds_it_by_its_name():
    plugins = Plugins([your_plugin], entry_points=False)
    assert isinstance(plugins.check("your_part")(words=3), AtLeast)
