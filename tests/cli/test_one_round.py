"""`run` and `plan` tell of a wrong job file what `validate` tells of it: all of it, whatever kind of mistake is met first."""

import pytest

JOBS = """
version: 1
provider: {base_url: "%s", api_key: key}
jobs:
  one:
    source: {type: jsonl, path: in.jsonl, kye: id}
    request: {model: claude-haiku-4-5, max_tokens: 9, stream: true, prompt: "{{ txt }}"}
    sinks: [{type: jsonl, path: .}]
  two:
    source: {type: jsonl, path: in.jsonl, key: id}
    request: {model: claude-haiku-4-5, max_tokens: 9, prompt: "{{ txt }}"}
    sinks: [{type: sqlite, path: out.db, table: t, mode: update}]
"""
READABLE = JOBS.replace("kye", "key")
"""No mistake in this one is met before its parts are made."""


def told(said):
    lines = [line for line in said.err.splitlines() if line.startswith("batchflow.yaml:")]
    return [line for line in lines if ": warning: " not in line]


@pytest.mark.parametrize("jobs", [JOBS, READABLE], ids=["unknown option", "only parts"])
@pytest.mark.parametrize("verb", ["run", "plan"])
def test_a_wrong_file_is_told_as_validate_tells_it(shop, verb, jobs):
    (shop.folder / "batchflow.yaml").write_text(jobs % shop.sim.url)
    judged, met = shop("validate"), shop(verb)
    assert len(told(judged)) >= (5 if jobs is JOBS else 4)
    assert told(met) == told(judged)
    assert met.code == judged.code == 3
    assert not (shop.folder / ".batchflow").exists()
    assert shop.sim.stats()["creates"] == 0


def test_a_mistake_in_a_job_that_was_not_asked_for_is_not_told(shop):
    (shop.folder / "batchflow.yaml").write_text(JOBS % shop.sim.url)
    assert told(shop("run", "two"))
    assert not any(line.startswith("batchflow.yaml:6:") for line in told(shop("run", "two")))
