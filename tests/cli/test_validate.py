"""`validate` tells every mistake of a job file in one round: whatever hides a mistake costs a round of its own."""

import json

import pytest

from batchflow.cli.validate import validate
from batchflow.extend.facade import Plugins
from batchflow.model.errors import ConfigError


class Book:
    def price(self, model):
        return None


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The first line of each problem, in order."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k" * 9)
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "x"}\n')
    (tmp_path / "in.csv").write_text("id,text\na,x\n")

    def tell(jobs, env=None):
        (tmp_path / "job.yaml").write_text(jobs)
        plugins = Plugins(entry_points=False)
        with pytest.raises(ConfigError) as raised:
            validate(tmp_path / "job.yaml", plugins=plugins, prices=Book(), env=env or {}, given={})
        return [problem.partition("\n")[0].removeprefix("job.yaml:") for problem in raised.value.problems]

    return tell


def job(name, source="{type: jsonl, path: in.jsonl, key: id}", request='{prompt: "{{ text }}"}', more=""):
    request = "{model: claude-haiku-4-5, max_tokens: 9, " + request.lstrip("{")
    return f"  {name}:\n    source: {source}\n    request: {request}\n    sinks: [{{type: jsonl, path: {name}.jsonl}}]\n{more}"


def test_a_mistake_in_one_job_hides_none_of_another(told):
    found = told(
        "jobs:\n"
        + job("a", source="{type: jsonl, path: in.jsonl, kye: id}")
        + job("b", request='{stream: true, prompt: "{{ txt }} {{ text | bogus | worse }}", top_k: 3}')
        + job("c", source="{type: jsonl, path: in.jsonl, key: idd}", request='{prompt: "{{ txt }}"}')
    )
    assert [said.partition(";")[0] for said in found] == [
        "3:43: unknown option `kye`",
        "8:63: stream: batches cannot stream",
        "8:77: prompt: line 1: No filter named 'worse'",
        "8:77: prompt: line 1: No filter named 'bogus'",
        "8:77: prompt: line 1: unknown variable 'txt'",
        "8:124: top_k: API version 2026-10-21 refuses it in every request, even at its default",
        "11:5: 1 of the first 1 records cannot be read",
        "12:63: prompt: line 1: unknown variable 'txt'",
    ]


def test_a_misspelt_option_hides_nothing_else_of_its_job(told):
    source = "{type: jsonl, path: in.jsonl, kye: id, carry: [tenant]}"
    found = told(
        "jobs:\n" + job("a", source=source, request='{prompt: "{{ txt }}"}', more="    batch: {max_requests: 0}\n")
    )
    assert [said.partition(" ")[2].partition(";")[0] for said in found] == [
        "unknown option `kye`",
        "no record has a column `tenant` to carry",
        "prompt: line 1: unknown variable 'txt'",
        "should be at least 1",
    ]


@pytest.mark.parametrize(
    ("source", "request_", "said"),
    [
        ("{type: csv, path: in.csv, key: id, max_record: lots}", '{prompt: "{{ txt }}"}', ["a size", "'txt'"]),
        ("{type: jsonl, path: in.jsonl, key: id}", '{override: [a], stream: true, prompt: "{{ txt }}"}', ["text", "stream", "'txt'"]),
        ("{type: jsonl, path: in.jsonl, key: id}", "{stream: true, prompt: {file: none.md}}", ["none.md", "stream"]),
        ("{type: jsonl, path: in.jsonl, key: id}", '{stream: true, system: {file: none.md}, prompt: "{{ txt }}"}', ["none.md", "stream", "'txt'"]),
    ],
)  # fmt: skip
def test_a_value_that_is_wrong_hides_nothing_else_of_its_part(told, source, request_, said):
    found = told("jobs:\n" + job("a", source=source, request=request_))
    assert len(found) == len(said), found
    assert all(any(what in problem for problem in found) for what in said), found


def test_a_wrong_value_of_a_sink_hides_nothing_else_of_the_sink(told, tmp_path):
    (tmp_path / "folder").mkdir()
    text = job("a").replace("{type: jsonl, path: a.jsonl}", "{type: jsonl, path: folder, if_exists: appendd}")
    found = told("jobs:\n" + text)
    assert [("if_exists" in one or "append" in one, "is a folder" in one) for one in found] in (
        [(False, True), (True, False)],
        [(True, False), (False, True)],
    )


def test_what_a_misspelt_option_may_have_caused_is_not_told_beside_it(told):
    source = "{type: jsonl, path: in.jsonl, key: id, encodin: utf-16}"
    found = told("jobs:\n" + job("a", source=source))
    assert len(found) == 1
    assert "unknown option `encodin`" in found[0]


@pytest.mark.parametrize("source", ["{type: jsonl, path: none.jsonl}", "{type: csv, path: in.csv, key: idd}"])
def test_a_source_that_cannot_be_read_hides_nothing_of_the_request(told, source):
    found = told("jobs:\n" + job("a", source=source, request='{stream: true, prompt: "{{ text }}"}'))
    assert len(found) == 2
    assert "stream" in found[1]


def test_a_wrong_key_column_hides_no_unknown_variable(told):
    found = told("jobs:\n" + job("a", source="{type: csv, path: in.csv, key: idd}", request='{prompt: "{{ txt }}"}'))
    assert [("idd" in said, "'txt'" in said) for said in found] == [(True, False), (False, True)]


def test_a_credential_that_is_not_set_hides_nothing(told):
    provider = 'provider: {api_key: "${env:NO_KEY}"}\n'
    found = told(provider + "jobs:\n" + job("a", request='{temperature: 1, prompt: "{{ txt }}"}'))
    assert [said.partition(" ")[2].split()[0] for said in found] == ["environment", "temperature:", "prompt:"]


def test_a_value_that_is_not_there_is_told_and_nothing_that_follows_from_it(told):
    found = told("jobs:\n" + job("a", source='{type: jsonl, path: "${env:NO_DATA}/in.jsonl", key: id}'))
    assert len(found) == 1
    assert "NO_DATA" in found[0]


def test_a_prompt_file_that_is_not_there_is_told_once(told):
    found = told("jobs:\n" + job("a", request="{prompt: {file: none.md}}") + job("b", request='{prompt: "{{ txt }}"}'))
    assert [("none.md" in said, "'txt'" in said) for said in found] == [(True, False), (False, True)]


def test_a_mistake_in_the_defaults_is_told_once_for_all_jobs(told):
    defaults = "defaults:\n  request: {stream: true}\n"
    assert len(told(defaults + "jobs:\n" + job("a") + job("b"))) == 1


def test_the_same_is_told_as_json(tmp_path, told, capsys):
    text = (
        "jobs:\n"
        + job("a", source="{type: jsonl, path: in.jsonl, kye: id}")
        + job("b", request='{prompt: "{{ txt }}"}')
    )
    found = told(text)
    capsys.readouterr()
    options = {"plugins": Plugins(entry_points=False), "prices": Book(), "env": {}, "given": {}}
    assert validate(tmp_path / "job.yaml", json=True, **options) == 3
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [problem.partition("\n")[0].removeprefix("job.yaml:") for problem in problems] == found
