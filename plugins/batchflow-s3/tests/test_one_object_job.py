"""A job whose sink makes one object of a run: what `retry`, `replay` and a mistake in the job file do to it."""

import json
import os

import pytest

from batchflow.cli.app import command_line
from batchflow.sim import FaultPlan, Simulator

JOB = """
provider: {{base_url: "{api}", api_key: key}}
jobs:
  triage:
    source: {{type: jsonl, path: in.jsonl, key: id}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ id }}}}"}}
    sinks: [{{type: s3, url: "{url}", endpoint_url: "{server}", path_style: true, object_per: {per}}}]
"""


@pytest.fixture
def typed(tmp_path, monkeypatch, capfd, shelf):
    for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "BATCHFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text("".join(f'{{"id": "k-{n}"}}\n' for n in range(4)))
    sim = Simulator(seed=7, speed=3600, duration=600, faults=FaultPlan.parse(["row:k-2:refusal,times=1"]))
    with sim.start() as running:

        def typed(*words, per="run"):
            url = f"s3://{shelf.bucket}/triage/"
            job = JOB.format(api=(running or sim).url, url=url, server=shelf.url, per=per)
            (tmp_path / "batchflow.yaml").write_text(job)
            capfd.readouterr()
            code = command_line(words)
            return code, capfd.readouterr()

        yield typed


def seen(shelf):
    rows = [json.loads(line) for _, data in shelf.data() for line in data.splitlines()]
    names = [name.rpartition("/")[2] for name in shelf.names()]
    return [(row["key"], row["word"]) for row in rows], names


def test_retry_adds_to_the_object_and_replay_makes_it_anew(typed, shelf):
    whole = ["_SUCCESS", "_manifest.json", "results.jsonl"]
    assert typed("run")[0] == 4
    first, names = seen(shelf)
    assert (sorted(first), names) == ([(f"k-{n}", "ok") for n in (0, 1, 3)], whole)
    assert typed("retry", "--only", "refused")[0] == 0
    assert seen(shelf) == ([*first, ("k-2", "ok")], whole)
    code, said = typed("replay", "triage", "--sink", "s3")
    assert code == 0, said.err
    again, names = seen(shelf)
    assert (sorted(again), names) == (sorted([*first, ("k-2", "ok")]), whole)


def test_a_word_that_is_none_is_refused_by_validate(typed):
    code, said = typed("validate", per="batch")
    assert code == 3
    assert "object_per" in said.err + said.out
