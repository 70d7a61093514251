"""The hash changes with what is asked and where it goes, and with nothing else."""

import shutil

import pytest

from batchflow.config.load import load

JOB = """\
provider: {type: remote, key: "${env:KEY}"}
jobs:
  triage:
    source: {type: rows, path: in.jsonl, carry: [a]}
    request: {type: asks, model: m, prompt: {file: p.md}}
    sinks: [{type: table, path: out.db}]
    budget: {run: 1}
"""


@pytest.fixture
def hashed(loaded, tmp_path):
    (tmp_path / "p.md").write_text("ask")
    return lambda text=JOB: loaded(text, {"KEY": "k" * 9}).jobs["triage"].config


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model: m", "model: n"),
        ("model: m", "model: m, stop: [x]"),
        ("in.jsonl", "other.jsonl"),
        ("carry: [a]", "carry: [b]"),
        ("out.db", "other.db"),
        ("out.db", "out.db, on: all"),
        ("out.db}", "out.db}, {type: jsonl, path: d.jsonl, on: dead}"),
        ("type: remote", "type: remote, retries: 1"),
        ("budget", "on_duplicate: last\n    budget"),
        ("budget", "checks: [{type: schema, schema: {}}]\n    budget"),
    ],
)
def test_it_changes_with_what_is_asked_or_where_it_goes(hashed, old, new):
    assert hashed(JOB.replace(old, new)) != hashed()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("budget: {run: 1}", "budget: {run: 2}"),
        (
            "budget: {run: 1}",
            "batch: {max_requests: 5}\n    retry: {attempts: 9}\n    submit: {grace: 1m}\n    repeat: always",
        ),
        ("model: m, prompt: {file: p.md}", "prompt: {file: p.md}, model: m"),
        ("in.jsonl", "./in.jsonl"),
        ("jobs:", "# a comment\njobs:"),
        ("type: remote", "type: remote, url: https://there"),
        ('key: "${env:KEY}"', "key: another"),
    ],
)
def test_it_stays_when_only_the_pace_the_budget_the_way_there_or_the_writing_changes(hashed, old, new):
    assert hashed(JOB.replace(old, new)) == hashed()


def test_it_changes_when_a_prompt_file_does(hashed, tmp_path):
    before = hashed()
    (tmp_path / "p.md").write_text("ask politely")
    assert hashed() != before


def test_it_stays_when_the_whole_folder_moves(hashed, tmp_path, plugins):
    before = hashed()
    shutil.copytree(tmp_path, tmp_path / "moved")
    moved = load(tmp_path / "moved" / "job.yaml", plugins, {"KEY": "k" * 9})
    assert moved.jobs["triage"].config == before


def test_the_summary_is_the_job_as_it_was_written(loaded, hashed):
    hashed()
    spec = loaded(JOB.replace("in.jsonl", '"${env:DATA}/in.jsonl"'), {"KEY": "k" * 9, "DATA": "/data"}).jobs["triage"]
    assert spec.summary == {
        "provider": {"type": "remote", "key": "***"},
        "source": {"type": "rows", "path": "${env:DATA}/in.jsonl", "carry": ["a"]},
        "request": {"type": "asks", "model": "m", "prompt": {"file": "p.md"}},
        "sinks": [{"type": "table", "path": "out.db"}],
        "budget": {"run": 1},
    }
    assert spec.rules.summary == spec.summary
