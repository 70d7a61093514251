"""Looking at a job file is quick: what only a run needs is not imported."""

import subprocess
import sys

LOOK = """
import sys
from functools import partial
from pathlib import Path
from batchflow.cli.validate import validate
from batchflow.extend.facade import Plugins

class Book:
    def price(self, model):
        return None

code = validate(Path("job.yaml"), plugins=Plugins(entry_points=False), prices=Book(), env={"KEY": "k" * 9}, given={})
assert code == 0
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
JOB = """\
provider: {api_key: "${env:KEY}"}
jobs:
  one:
    source: {type: jsonl, path: in.jsonl, key: id}
    request: {model: claude-haiku-4-5, max_tokens: 300, prompt: "Summarise: {{ text }}"}
    sinks: [{type: jsonl, path: out.jsonl}]
"""
HEAVY = {
    "anthropic",
    "aiohttp",
    "httpx",
    "httpx2",
    "aiosqlite",
    "sqlite3",
    "zstandard",
    "starlette",
    "uvicorn",
    "jsonschema_rs",
    "rich",
    "cyclopts",
}


def test_validating_a_job_imports_nothing_that_only_a_run_needs(tmp_path):
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "b"}\n')
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOOK], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.splitlines()[-1].split())
    assert "pydantic" in imported
    assert imported & HEAVY == set()
