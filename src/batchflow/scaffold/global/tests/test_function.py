"""The function by itself, and in a prompt as it is sent."""

import json

import pytest
from batchflow import Plugins
from batchflow.plugin import BuildError, Record

import your_plugin
from your_plugin.function import MANNERS, OTHERWISE, manner

PLUGINS = Plugins([your_plugin], entry_points=False)


def sent(prompt, row):
    build = PLUGINS.builder("template")
    builder = build(model="claude-haiku-4-5", max_tokens=50, prompt=prompt, globals=PLUGINS.globals())
    return json.loads(builder.build(Record("a", row, "in:1")))["messages"][0]["content"]


@pytest.mark.parametrize("tenant", MANNERS)
def test_a_tenant_has_a_manner_of_its_own(tenant):
    assert manner(tenant) == MANNERS[tenant] != OTHERWISE


@pytest.mark.parametrize("written", ["North", " north ", "NORTH\n"])
def test_a_name_may_be_written_otherwise(written):
    assert manner(written) == MANNERS["north"]


@pytest.mark.parametrize("tenant", ["", "west", "漢字", "north south"])
def test_everybody_else_is_answered_like_everybody_else(tenant):
    assert manner(tenant) == OTHERWISE


def test_the_same_tenant_gets_the_same_whenever_it_is_asked():
    assert len({manner("north") for _ in range(10)}) == 1


@pytest.mark.parametrize("value", [None, 7, ["north"], {}], ids=repr)
def test_what_is_no_name_is_a_sentence(value):
    with pytest.raises(TypeError, match="a tenant has a name"):
        manner(value)


def test_a_prompt_is_sent_with_it():
    assert sent("{{ your_part(tenant) }} Go.", {"tenant": "north"}) == "Answer in one word. Go."


def test_a_row_that_it_refuses_costs_nothing():
    with pytest.raises(BuildError, match="a tenant has a name"):
        sent("{{ your_part(tenant) }}", {"tenant": None})


def test_an_app_finds_it_by_its_name():
    assert PLUGINS.globals()["your_part"] is manner
