"""The plugin as an app sees it: found by its entry points, loaded when it is needed, and nothing taken before a run."""

import subprocess
import sys

import pytest

from batchflow.extend.facade import Plugins

JOB = """
version: 1
provider: {{api_key: "sk-none"}}
jobs:
  claims:
    source: {{type: redis, url: "{url}", stream: queue}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ text }}}}"}}
    sinks: [{{type: redis, url: "{url}", stream: answers}}]
"""


def test_an_app_finds_it_by_its_entry_points():
    plugins = Plugins()
    assert not plugins.broken
    assert plugins.sources()["redis"].by.distribution == plugins.sinks()["redis"].by.distribution == "batchflow-redis"


def test_an_app_that_does_not_use_redis_does_not_import_its_client():
    asked = "import sys; from batchflow.extend.facade import Plugins; Plugins(); print('redis' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


@pytest.mark.parametrize(("word", "ends"), [("validate", 0), ("plan", 3)])
def test_looking_at_a_job_takes_nothing_from_its_stream(store, tmp_path, word, ends):
    store.look.xadd("queue", {"text": "claim"})
    (tmp_path / "batchflow.yaml").write_text(JOB.format(url=store.url))
    command = [sys.executable, "-m", "batchflow", word]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == ends, done.stderr
    assert store.look.xinfo_groups("queue") == []
    if word == "plan":
        assert "its source can be read only once, so `plan` does not walk it" in done.stderr
