"""What there is to configure, as `describe` says it: every kind, every component, every option with its help."""

import json

import pytest

from batchflow.cli.app import command_line
from batchflow.cli.exits import Exit
from batchflow.extend.facade import Plugins
from batchflow.extend.kinds import Kind

CONFIGURED = [kind for kind in Kind if kind not in {Kind.FILTER, Kind.COMMAND}]
BUILTIN = [(kind, name) for kind in CONFIGURED for name in Plugins(entry_points=False).offers(kind)]


@pytest.fixture
def say(capfd):
    def typed(*words):
        code = command_line(["describe", *words])
        out, err = capfd.readouterr()
        return code, out, err

    return typed


@pytest.mark.parametrize(("kind", "name"), BUILTIN)
def test_every_component_in_the_box_is_described(say, kind, name):
    code, out, err = say(kind, name)
    assert (code, err) == (Exit.DELIVERED, "")
    assert f"{kind} `{name}`, from batchflow.builtin" in out
    [facts] = json.loads(say(kind, name, "--json")[1])
    assert "broken" not in facts
    for option, schema in facts["schema"]["properties"].items():
        assert f"  {option}: " in out
        assert schema["description"]


def test_what_the_app_supplies_is_no_option(say):
    _, out, _ = say("state-store", "sqlite")
    assert "  path: path (required)" in out
    assert "clock" not in out


def test_what_may_be_changed_in_mid_run_is_said(say):
    _, out, _ = say("provider", "anthropic")
    assert "May be changed in the middle of a run: base_url, workspace_id" in out


@pytest.mark.parametrize("kind", CONFIGURED)
def test_a_kind_is_listed_by_its_singular_and_its_plural(say, kind):
    _, listed, _ = say(kind)
    plural = kind if kind == Kind.PRICES else f"{kind}s"
    assert say(plural.replace("_", "-"))[1] == listed
    for name in Plugins(entry_points=False).offers(kind):
        assert f"  {name} " in listed


def test_an_unknown_kind_is_answered_with_the_nearest(say):
    code, _, err = say("sourse")
    assert code == Exit.CONFIG
    assert "there is no kind `sourse`" in err
    assert "`source`" in err
