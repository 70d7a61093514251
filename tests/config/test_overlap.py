"""Sinks that would write over what their job reads, over each other, or over what batchflow needs."""

import json
from pathlib import Path

import anyio
import pytest

from batchflow.cli.place import beside
from batchflow.config.load import survey
from batchflow.config.overlap import kept_for
from batchflow.config.plugging import plugins_for
from batchflow.config.whole import look_into

JOB = """\
plugins: [mine.py]
provider: {{api_key: "${{file:secret}}"}}
jobs:
  triage:
    source: {source}
    request: {{model: claude-haiku-4-5, max_tokens: 300, prompt: {{file: prompt.md}}}}
    sinks: {sinks}
"""
PATTERN = '{type: jsonl, path: "f/*.jsonl"}'
OVER = "would write over what the job reads"


class Book:
    def price(self, model): ...


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What is said of a job with this source and these sinks; nothing may be touched by it."""
    monkeypatch.delenv("BATCHFLOW_HOME", raising=False)
    for name, text in {
        "prompt.md": "Sum up", "secret": "k" * 9, "mine.py": "", "f/a.jsonl": json.dumps({"id": "a"}),
        "f/deep/a.jsonl": json.dumps({"id": "a"}), "f/a.csv": "id\na\n", "f/.a.batchflow": json.dumps({"id": "a"}), ".batchflow/state.db": "state",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)

    def look(sinks, source=PATTERN, asked=None):
        file = tmp_path / "job.yaml"
        file.write_text(JOB.format(source=source, sinks=sinks))
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        plugins = plugins_for(file, {})
        read = survey(file, plugins, {})
        kept = kept_for(read, beside(file, asked=asked, written=read.state))
        anyio.run(lambda: look_into(read, plugins=plugins, prices=Book(), given={}, kept=kept))
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        return [read.faults.page.told(one).removeprefix(str(file)) for one in read.faults.errors]

    return look


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("f/out.jsonl", PATTERN),
        ("f/../f/out.jsonl", PATTERN),
        ("link/out.jsonl", PATTERN),
        ("f/out.jsonl", '{type: jsonl, path: "link/*.jsonl"}'),
        ("f/b.csv", '{type: csv, path: "f/*.csv*"}'),
        ("f/b.csv.gz", '{type: csv, path: "f/*.csv*"}'),
        ("f/deep/er/out.txt", '{type: files, path: "f/**/*"}'),
        ("f/x", '{type: jsonl, path: "f/.*.batchflow"}'),
        ("f/a.jsonl", '{type: jsonl, path: "f/a.jsonl"}'),
        ("hard.jsonl", PATTERN),
        ("soft.jsonl", PATTERN),
        ("hard.jsonl", '{type: jsonl, path: "f/a.jsonl"}'),
        ("met.jsonl", PATTERN),
    ],
)
def test_a_sink_that_the_source_would_read_is_refused(told, tmp_path, path, source):
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "hard.jsonl").hardlink_to(tmp_path / "f/a.jsonl")
    (tmp_path / "soft.jsonl").symlink_to("f/new.jsonl")
    (tmp_path / "met.jsonl").write_text("")
    (tmp_path / "f/met.jsonl").symlink_to("../met.jsonl")
    [said] = told(f"[{{type: jsonl, path: {path}, if_exists: append}}]", source)
    assert said.startswith(f":7:33: sink `jsonl` {OVER}: ")
    assert "another folder, or narrow the pattern" in said


@pytest.mark.parametrize(
    ("sinks", "source"),
    [
        ("[{type: jsonl, path: f/out.json}]", PATTERN),
        ("[{type: jsonl, path: f/deep/out.jsonl}]", PATTERN),
        ("[{type: jsonl, path: f/.out.jsonl}]", PATTERN),
        ("[{type: jsonl, path: g/out.jsonl}]", PATTERN),
        ("[{type: sqlite, path: d.db, table: a}, {type: sqlite, path: d.db, table: b, name: b}]", PATTERN),
        (
            "[{type: sqlite, path: d.db, table: a}]",
            "{type: sqlite, path: d.db, query: select * from sqlite_schema, key: name}",
        ),
    ],
)
def test_what_the_source_does_not_read_may_be_written(told, tmp_path, sinks, source):
    (tmp_path / "d.db").write_bytes(b"")
    assert told(sinks, source) == []


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (".batchflow/state.db", "what batchflow itself keeps"),
        (".batchflow/seen/x", "what batchflow itself keeps"),
        ("hard.db", "what batchflow itself keeps"),
        ("job.yaml", "the job file"),
        ("prompt.md", "prompt.md, which the job file names"),
        ("secret", "secret, which the job file names"),
        ("mine.py", "a plugin of the job"),
        ("soft", "the job file"),
    ],
)
@pytest.mark.parametrize(
    "sink", ["{{type: jsonl, path: {}, if_exists: overwrite}}", "{{type: sqlite, path: {}, table: t}}"]
)
def test_a_sink_that_would_write_over_what_is_needed_is_refused(told, tmp_path, path, what, sink):
    (tmp_path / "hard.db").hardlink_to(tmp_path / ".batchflow/state.db")
    (tmp_path / "soft").symlink_to("job.yaml")
    [said] = told(f"[{sink.format(path)}]")
    assert said.startswith(":7:")
    assert f"would write over {what}: {tmp_path / path}" in said


def test_the_state_folder_is_the_one_that_is_asked_for(told, tmp_path, monkeypatch):
    sinks = "[{type: jsonl, path: runs/out.jsonl}]"
    assert told(sinks) == []
    assert len(told(sinks, asked=tmp_path / "runs")) == 1
    monkeypatch.setenv("BATCHFLOW_HOME", str(tmp_path / "runs"))
    assert len(told(sinks)) == 1


def test_a_state_folder_that_is_the_folder_of_the_job_keeps_only_its_own(told, tmp_path):
    assert told("[{type: jsonl, path: out.jsonl}]", asked=tmp_path) == []
    assert len(told("[{type: jsonl, path: seen/out.jsonl}]", asked=tmp_path)) == 1


def test_two_sinks_of_one_file_are_refused(told, tmp_path):
    Path(tmp_path / "soft").symlink_to("out")
    for other in ("out", "./out", "soft", ".out.batchflow"):
        [said] = told(f"[{{type: jsonl, path: out}}, {{type: csv, path: {other}}}]")
        assert said.startswith(":7:57: sinks `jsonl` and `csv` write to one file: ")


SILENT = """
import threading
from batchflow.plugin import hookimpl, Target

class Sink:
    promise = "keyed"
    def open(self, context, last): ...
    def write(self, part): return {}
    def close(self): ...
    def targets(self):
        threading.Event().wait()

class Source:
    async def read(self, after):
        return
        yield
    async def fingerprint(self): ...
    def covers(self, target):
        raise ZeroDivisionError("oops")

def silent(): return Sink()
def loud(): return Source()

@hookimpl
def register_sinks(register):
    register("silent", silent)

@hookimpl
def register_sources(register):
    register("loud", loud)
"""


def test_a_plugin_that_does_not_say_what_it_writes_or_covers_is_named_in_time(told, tmp_path):
    (tmp_path / "mine.py").write_text(SILENT)
    job = "[{type: silent, name: one}, {type: jsonl, path: f/out.jsonl}]\n    plugin_timeout: 100ms"
    said = told(job, "{type: loud}")
    assert len(said) == 2, said
    assert any(
        "Sink (" in one and "did not come back within 0.1 s when it was asked what it writes" in one for one in said
    )
    assert any("Source (" in one and "failed when it was asked whether it would read" in one for one in said)
