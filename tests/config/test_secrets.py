"""A secret is in the component that needs it, and nowhere else."""

import logging

import msgspec
import pytest

from batchflow.config.build import build_provider
from batchflow.model.errors import ConfigError

SECRET = "hunter2hunter2"

JOB = """\
provider: {type: remote, key: "%s", headers: {x-key: "%s", x-two: "Bearer %s"}}
jobs:
  triage:
    source: {type: rows, path: in.jsonl}
    request: {type: asks, model: m}
    sinks: [{type: table, path: out.db, dsn: "%s"}]
"""


def written_as(reference):
    return JOB % (reference, reference, reference, reference)


@pytest.fixture
def key_file(tmp_path):
    (tmp_path / "key").write_text(SECRET + "\n")


REFERENCES = ["${env:KEY}", "${file:key}", "${env:NONE:-" + SECRET + "}", SECRET]


@pytest.mark.usefixtures("key_file")
@pytest.mark.parametrize("reference", REFERENCES)
def test_a_secret_reaches_its_component(loaded, reference):
    spec = loaded(written_as(reference)).jobs["triage"]
    assert spec.provider.kwargs["key"].reveal() == SECRET
    assert spec.provider.kwargs["headers"]["x-two"].reveal() == f"Bearer {SECRET}"
    assert spec.sinks[0].sink.kwargs["dsn"].reveal() == SECRET


@pytest.mark.usefixtures("key_file")
@pytest.mark.parametrize("reference", REFERENCES)
def test_a_secret_is_not_in_what_is_shown_stored_or_said(loaded, reference):
    file = loaded(written_as(reference))
    spec = file.jobs["triage"]
    assert SECRET not in repr(file)
    assert SECRET not in repr(spec.components)
    assert SECRET not in msgspec.json.encode([spec.summary, spec.rules]).decode()
    assert SECRET not in "".join(file.warnings)
    assert spec.summary["provider"]["headers"] == {"x-key": "***", "x-two": "***"}


def test_the_hash_does_not_know_the_secret(loaded):
    jobs = [loaded(written_as("${env:KEY}"), {"KEY": key}).jobs["triage"] for key in ("first-key", "second-key")]
    assert jobs[0].config == jobs[1].config


def test_a_secret_in_the_file_is_warned_of_and_starred_where_its_line_is_shown(loaded):
    file = loaded(written_as(SECRET))
    head, line, *_ = file.warnings[0].splitlines()
    assert head == "job.yaml:1:31: warning: a secret is written into the job file"
    assert line.startswith('  | provider: {type: remote, key: "**************", headers: {x-key: "**************"')
    assert len(file.warnings) == 4


def test_a_header_that_looks_like_no_secret_is_not_warned_of(loaded):
    text = written_as(SECRET).replace("x-two: ", "x-team: north, X-Auth-Token: abcdefghij, x-two: ")
    assert len(loaded(text).warnings) == len(loaded(written_as(SECRET)).warnings) + 1


def test_a_secret_is_starred_where_a_mistake_beside_it_is_shown(refused):
    error = refused(written_as(SECRET).replace("type: remote", "type: remote, urll: x"))
    assert "unknown option `urll`" in error.problems[0]
    assert SECRET not in str(error.problems)


def test_a_key_is_starred_even_where_nobody_can_tell_what_it_is(refused):
    error = refused('provider: {type: nobody, api_key: "sk-ant-abcdefgh-1234"}\njobs: {}\n')
    assert "sk-ant" not in str(error.problems)
    assert "sk-ant" not in str(refused("provider: {api_key: sk-ant-abcdefgh-1234\n").problems)


def test_a_secret_in_a_wrong_place_is_not_said(refused):
    error = refused(
        JOB % ("x" * 9, "x" * 9, "x" * 9, "x" * 9) + '    batch: {max_requests: "${env:KEY}"}\n', {"KEY": SECRET}
    )
    assert "should be a whole number" in error.problems[-1]
    assert SECRET not in str(error.problems)


def test_a_factory_that_quotes_a_secret_is_not_quoted(loaded, monkeypatch):
    text = written_as("${env:KEY}").replace("type: remote", 'type: remote, url: "nowhere"')
    spec = loaded(text, {"KEY": "nowhere"}).jobs["triage"]
    with pytest.raises(ConfigError) as raised:
        build_provider(spec, {})
    assert raised.value.problems[0].startswith("job.yaml:1:31: url: ${env:KEY} is no address")


def test_loading_logs_nothing(loaded, caplog):
    with caplog.at_level(logging.DEBUG):
        loaded(written_as("${env:KEY}"))
    assert caplog.records == []


def test_a_secret_of_a_few_letters_does_not_ruin_every_sentence(refused):
    error = refused(written_as("k").replace("type: remote", "type: remote, urlk: x"))
    assert "unknown option `urlk`" in error.problems[0]
