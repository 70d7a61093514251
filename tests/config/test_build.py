"""Parts are made from what was read, and what a factory refuses is told at its line."""

import threading
from types import SimpleNamespace

import pytest

from batchflow.config.build import build, build_provider
from batchflow.model.errors import Bug, ConfigError, PluginError
from batchflow.plugin import hookimpl

JOB = """\
jobs:
  triage:
    source: {type: rows, path: in.jsonl, carry: [tenant]}
    request: {type: asks, model: m}
    sinks: [{type: table, path: a.db}, {type: table, path: b.db, on: dead}]
"""


@pytest.fixture
def spec(loaded):
    return lambda old="", new="": loaded(JOB.replace(old, new)).jobs["triage"]


def test_parts_are_made_with_what_the_job_file_says(spec, tmp_path):
    parts = build(spec(), {})
    assert parts.name == "triage"
    assert parts.source.options["path"] == tmp_path / "in.jsonl"
    assert [(one.name, one.on) for one in parts.outlets] == [("table", "ok"), ("table-2", "dead")]
    assert parts.rules.carry == ("tenant",)


def test_what_the_app_supplies_is_injected_by_name(spec, tmp_path):
    source = build(spec(), {"spool": tmp_path / "spool"}).source
    assert source.options["spool"] == tmp_path / "spool"
    assert source.options["carry"] == ("tenant",)
    assert build(spec(), {}).builder.options["base"] == tmp_path


@pytest.mark.parametrize(
    ("checks", "output", "told"),
    [
        ("", "", None),
        ("", ", output: {type: object}", {"type": "object"}),
        ("checks: [{type: schema, schema: {type: string}}]", "", {"type": "string"}),
        ("checks: [{type: schema, schema: {type: string}}]", ", output: {type: object}", {"type": "string"}),
    ],
)
def test_sinks_are_told_the_schema_of_what_the_checks_leave(loaded, checks, output, told):
    job = JOB.replace("type: asks, model: m", f"model: m, max_tokens: 5, prompt: x{output}")
    spec = loaded(f"{job.replace('type: table, path: a.db', 'type: shaped')}    {checks}\n").jobs["triage"]
    assert build(spec, {}).outlets[0].sink == [told]


def test_everything_that_factories_refuse_is_told_at_once_at_its_line(spec):
    job = spec("model: m", "model: none")
    broken = spec("b.db", "b.db, mode: set")
    with pytest.raises(ConfigError) as raised:
        build(job, {})
    assert raised.value.problems[0].splitlines()[0] == "job.yaml:4:34: model: none is no model"
    with pytest.raises(ConfigError) as raised:
        build(broken, {})
    assert [one.splitlines()[0] for one in raised.value.problems] == [
        "job.yaml:5:40: table must be named with `mode: set`"
    ]


def test_a_prompt_that_is_a_files_name_is_refused_at_its_line(spec):
    job = spec("{type: asks, model: m}", "{model: m, max_tokens: 5, prompt: prompts/a.md}")
    with pytest.raises(ConfigError) as raised:
        build(job, {})
    head, _, caret, *_ = raised.value.problems[0].splitlines()
    assert head.startswith("job.yaml:4:48: prompt is the text 'prompts/a.md', which looks like a file's name")
    assert caret.index("^") == 4 + 47


def test_a_field_that_names_nothing_is_refused_at_its_line(spec):
    job = spec("type: table, path: a.db", "type: jsonl, path: a, fields: {id: key, by: tenant, level: outptu.level}")
    with pytest.raises(ConfigError) as raised:
        build(job, {})
    assert raised.value.problems[0].startswith(
        "job.yaml:5:73: field 'level': there is no 'outptu'; did you mean output?"
    )


def test_a_factory_that_needs_what_the_app_has_not_is_our_own_mistake(spec):
    with pytest.raises(Bug, match=r"source `needy` asks the app for `engine`"):
        build(spec("type: rows, path: in.jsonl, carry: [tenant]", "type: needy"), {})


def test_a_factory_that_fails_names_its_plugin(spec):
    with pytest.raises(PluginError, match=r"sink `crashes` of plugin Fakes could not be made: RuntimeError: no driver"):
        build(spec("type: table, path: a.db", "type: crashes"), {})


def test_a_factory_that_keeps_everybody_waiting_is_named_while_it_does(more, request, caplog, monkeypatch):
    said = threading.Event()

    def waits() -> object:
        """Comes back when somebody has complained of it."""
        assert said.wait(60)
        return SimpleNamespace(promise="at_least_once")

    class Waiting:
        @hookimpl
        def register_sinks(self, register):
            register("waits", waits)

    more.append(Waiting())
    monkeypatch.setenv("BATCHFLOW_PLUGINS_TIMEOUT", "0.01")
    caplog.handler.addFilter(lambda record: said.set() or True)
    spec = request.getfixturevalue("spec")
    build(spec("type: table, path: a.db", "type: waits"), {})
    [told] = caplog.messages
    assert told.startswith("nothing goes on: sink `waits` of plugin Waiting has not been made within 0.01 s (it is at ")
    assert "test_build.py:" in told


def test_a_factory_that_fails_over_a_secret_does_not_show_it(loaded):
    job = loaded("provider: {type: quoting, key: '${env:KEY}'}\n" + JOB, {"KEY": "hunter2"}).jobs["triage"]
    with pytest.raises(PluginError) as raised:
        build_provider(job, {})
    assert raised.value.message.endswith("could not be made: RuntimeError: cannot use ${env:KEY}")


def test_the_provider_is_made_by_itself(loaded):
    job = loaded("provider: {type: remote, url: nowhere}\n" + JOB).jobs["triage"]
    with pytest.raises(ConfigError, match="1 problem") as raised:
        build_provider(job, {})
    assert raised.value.problems[0].startswith("job.yaml:1:31: url: nowhere is no address")
