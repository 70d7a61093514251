"""`validate`, `schema` and `describe`: facts to standard output, the rest to standard error."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from batchflow.cli.describe import describe
from batchflow.cli.schema import schema
from batchflow.cli.validate import validate
from batchflow.extend.facade import Plugins
from batchflow.model.errors import ConfigError, UnknownComponent

JOB = """\
jobs:
  one:
    source: {type: jsonl, path: in.jsonl, key: id}
    request: {model: MODEL, max_tokens: 300, prompt: "Summarise: {{ text }}"}
    sinks: [{type: jsonl, path: out.jsonl}]
"""


class Book:
    def price(self, model):
        return object() if model == "known" else None


@pytest.fixture
def plugins():
    return Plugins(entry_points=False)


@pytest.fixture
def validated(tmp_path, monkeypatch, plugins):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "b"}\n')

    def run(text, **options):
        (tmp_path / "job.yaml").write_text(text)
        return validate(Path("job.yaml"), plugins=plugins, prices=Book(), env={}, given={}, **options)

    return run


def test_a_sound_job_says_so(validated, capsys):
    assert validated(JOB.replace("MODEL", "known")) == 0
    assert capsys.readouterr().out == "job.yaml is sound: one. To see what it would cost: batchflow plan job.yaml\n"


def test_warnings_go_to_standard_error_and_stop_nothing(validated, capsys):
    assert validated(JOB) == 0
    said = capsys.readouterr()
    assert said.err.startswith("job.yaml:4:22: warning: no price is known for model `MODEL`")
    assert said.out.startswith("job.yaml is sound")


def test_problems_of_all_jobs_are_raised_together(validated):
    other = JOB.partition("\n")[2].replace("one", "two").replace("out.jsonl", "two.jsonl")
    with pytest.raises(ConfigError) as raised:
        validated((JOB + other).replace("{{ text }}", "{{ txt }}"))
    assert [one.partition(":")[2].partition(":")[0] for one in raised.value.problems] == ["4", "8"]
    assert raised.value.message == "2 problems in job.yaml; nothing was sent and nothing was written"


def test_only_the_named_job_is_looked_into(validated):
    broken = "  two: {source: {type: nothing}}\n"
    assert validated(JOB + broken, jobs=["one"]) == 0
    with pytest.raises(ConfigError):
        validated(JOB + broken)


@pytest.mark.parametrize(
    ("text", "code", "ok", "problems"),
    [
        (JOB.replace("MODEL", "known"), 0, True, 0),
        (JOB.replace("path: in", "pth: in"), 3, False, 2),
        (JOB.replace("text", "txt"), 3, False, 1),
    ],
)
def test_as_json_everything_is_one_object(validated, capsys, text, code, ok, problems):
    assert validated(text, json=True) == code
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["ok"], len(found["problems"]), said.err) == (ok, problems, "")


def test_a_file_that_is_not_there_is_told_as_json_too(plugins, capsys):
    none = Path("/nowhere/job.yaml")
    assert validate(none, plugins=plugins, prices=Book(), env={}, given={}, json=True) == 3
    assert json.loads(capsys.readouterr().out)["problems"] == ["there is no job file /nowhere/job.yaml"]


def test_the_schema_goes_to_standard_output_or_to_a_file(plugins, capsys, tmp_path):
    assert schema(plugins=plugins) == 0
    printed = capsys.readouterr().out
    jsonschema_rs.meta.validate(json.loads(printed))
    schema(plugins=plugins, output=tmp_path / "s.json")
    assert (tmp_path / "s.json").read_text() == printed
    assert capsys.readouterr().out == ""


def test_one_component_is_described_option_by_option(plugins, capsys):
    assert describe("sink", "jsonl", plugins=plugins) == 0
    told = capsys.readouterr().out
    assert told.startswith("sink `jsonl`, from batchflow.builtin\nJSON Lines in a file")
    assert "\n  path: path (required)\n      The file to write" in told
    assert "\n  if_exists: error | append | overwrite (default error)\n" in told


def test_a_duration_is_described_with_its_unit(plugins, capsys):
    describe("provider", "anthropic", plugins=plugins)
    assert "\n  timeout: duration (default 60s)\n" in capsys.readouterr().out


def test_an_open_ended_component_says_that_it_passes_options_on(plugins, capsys):
    describe("builder", "template", plugins=plugins)
    assert "any other option is passed on as it is" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["sink", "sinks"])
def test_a_kind_is_listed(plugins, capsys, kind):
    describe(kind, plugins=plugins)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sink:"
    assert [line.split()[0] for line in lines[1:5]] == ["csv", "jsonl", "sqlite", "stdout"]


def test_everything_a_job_file_configures_is_listed(plugins, capsys):
    describe(plugins=plugins)
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line.endswith(":")] == [
        "source:", "builder:", "provider:", "check:", "retry:", "sink:",
    ]  # fmt: skip


def test_descriptions_come_as_json(plugins, capsys):
    describe("retry", plugins=plugins, json=True)
    [one] = json.loads(capsys.readouterr().out)
    assert (one["kind"], one["name"], one["by"]) == ("retry", "standard", "batchflow.builtin")
    assert one["schema"]["properties"]["attempts"]["type"] == "integer"


@pytest.mark.parametrize(("words", "guess"), [(("snik",), "`sink`"), (("sink", "jsnl"), "`jsonl`")])
def test_a_misspelt_word_is_answered_with_the_nearest(plugins, words, guess):
    with pytest.raises(UnknownComponent, match=f"did you mean {guess}"):
        describe(*words, plugins=plugins)
