"""`init` writes a job that runs, and overwrites nothing."""

import json
from pathlib import Path

import pytest

from batchflow.app import Batchflow
from batchflow.cli.init import init
from batchflow.cli.schema import schema
from batchflow.cli.validate import validate
from batchflow.config.build import build, build_provider
from batchflow.config.load import load
from batchflow.extend.facade import Plugins
from batchflow.job import Job, To
from batchflow.model.errors import RunRefused
from batchflow.sim import Simulator

FILES = ["batchflow.yaml", "prompts/ticket.md", "tickets.jsonl"]


class Book:
    def price(self, model):
        return object()


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_it_writes_a_job_that_is_sound(tmp_path, capsys):
    assert init(tmp_path / "new") == 0
    assert written(tmp_path / "new") == FILES
    assert capsys.readouterr().out == f"Next: cd {tmp_path / 'new'} && batchflow validate && batchflow run\n"
    plugins = Plugins(entry_points=False)
    file = tmp_path / "new" / "batchflow.yaml"
    assert validate(file, plugins=plugins, prices=Book(), env={"ANTHROPIC_API_KEY": "k" * 9}, given={}) == 0
    assert capsys.readouterr().err == ""


async def test_the_job_it_writes_runs_to_its_end(tmp_path):
    init(tmp_path)
    plugins = Plugins(entry_points=False)
    with Simulator(seed=1, speed=3600) as sim:
        env = {"ANTHROPIC_API_KEY": "any", "ANTHROPIC_BASE_URL": sim.url}
        spec = load(tmp_path / "batchflow.yaml", plugins, env).jobs["tickets"]
        parts = build(spec, {})
        sinks = [To(sink=one.sink, on=one.on, name=one.name) for one in parts.outlets]
        job = Job(
            name=spec.name, source=parts.source, request=parts.builder, sinks=sinks, checks=parts.checks,
            retry=parts.retry, rules=parts.rules, config=spec.config,
        )  # fmt: skip
        async with Batchflow(tmp_path / "state", provider=build_provider(spec, {}), plugins=plugins) as flow:
            report = await flow.run(job)
    assert (report.run.state, report.books["delivered"]) == ("done", 5)
    lines = [json.loads(line) for line in (tmp_path / "out" / "tickets.jsonl").read_text().splitlines()]
    assert sorted(line["key"] for line in lines) == ["t-1", "t-2", "t-3", "t-4", "t-5"]
    assert all(line["output"]["topic"] in {"billing", "bug", "question", "other"} for line in lines)
    assert lines[0]["carried"].keys() == {"channel"}


def test_its_schema_comment_names_the_file_that_schema_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    init(Path())
    schema(plugins=Plugins(entry_points=False), output=Path("batchflow.schema.json"))
    first = (tmp_path / "batchflow.yaml").read_text().splitlines()[0]
    assert (tmp_path / first.rpartition("=./")[2]).exists()


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunRefused, match=r"would be overwritten; nothing was written"):
        init(tmp_path)
    assert written(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "mine"
