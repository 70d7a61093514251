"""The filter by itself, and in a prompt as it is sent."""

import json

import pytest
from batchflow import Plugins
from batchflow.plugin import BuildError, Record

import your_plugin
from your_plugin.filter import fenced

PLUGINS = Plugins([your_plugin], entry_points=False)
TEXTS = {
    "plain": "It sleeps upside down.",
    "nothing": "",
    "lines": "one\r\ntwo\n",
    "other tags": "<b>bold</b> &amp; <texture>",
    "every kind of character": "pässwörd 漢字 \U0001f511 \u2028",
    "a template": "{{ text }} {% if %}",
}


def sent(prompt, row):
    build = PLUGINS.builder("template")
    builder = build(model="claude-haiku-4-5", max_tokens=50, prompt=prompt, filters=PLUGINS.filters())
    return json.loads(builder.build(Record("a", row, "in:1")))["messages"][0]["content"]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_is_there_whole(text):
    assert fenced(text) == f"<text>\n{text}\n</text>"


@pytest.mark.parametrize("end", ["</text>", "</TEXT>", "</ text >", "< /text>", "</text", "<text>", "</text></text>"])
def test_a_text_cannot_end_where_it_pleases(end):
    assert fenced(f"a {end} b") == f"<text>\na {end.replace('<', '&lt;')} b\n</text>"


def test_the_same_text_gives_the_same_whenever_it_is_asked():
    assert len({fenced(TEXTS["lines"]) for _ in range(10)}) == 1


@pytest.mark.parametrize("value", [None, 7, ["a"], {"a": 1}, b"a"], ids=repr)
def test_what_is_no_text_is_a_sentence(value):
    with pytest.raises(TypeError, match="only a text can be put between tags"):
        fenced(value)


@pytest.mark.parametrize("tag", ["", "a b", "a>", "1a", "/a"])
def test_a_tag_that_is_none_is_a_sentence(tag):
    with pytest.raises(ValueError, match="no name of a tag"):
        fenced("a", tag)


def test_a_prompt_is_sent_with_it():
    assert sent("{{ text | your_part('animal') }}", {"text": "Eight arms."}) == "<animal>\nEight arms.\n</animal>"


def test_a_row_that_it_refuses_costs_nothing():
    with pytest.raises(BuildError, match="only a text"):
        sent("{{ text | your_part }}", {"text": None})


def test_an_app_finds_it_by_its_name():
    assert PLUGINS.filters()["your_part"] is fenced
