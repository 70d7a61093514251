"""A job folder, a simulator, and the command as a process of its own: what a person types, and what they get back."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from batchflow.sim import FaultPlan, Simulator

MAIN = "from batchflow.cli import main; main()"
# The process weighs itself: what the system says of a child includes the test process that it was forked from.
WEIGHED = "import atexit, shutil; atexit.register(shutil.copy, '/proc/self/status', {path!r}); "
KEY = "sk-good-key"
JOB = """\
version: 1
provider: {{base_url: "{url}", api_key: "${{env:KEY}}"}}
jobs:
  triage:
    source: {source}
    request: {request}
    submit: {{patience: 1s, grace: 5s}}
    batch: {{max_requests: {batch}}}
    sinks: {sinks}
"""
SOURCE = "{type: jsonl, path: in.jsonl, key: id}"
REQUEST = '{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{ text }}"}'
SINKS = "[{type: jsonl, path: out.jsonl}, {type: jsonl, path: dead.jsonl, on: dead}]"


class Said:
    """What a command said and how it ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def has(self, *texts):
        """Asserts that the person was told all of this, and nothing that looks like a crash."""
        assert "Traceback" not in self.err, self.err
        for text in texts:
            assert text in self.err, f"{text!r} is missing in:\n{self.err}"
        return self


class Folder:
    """A job folder."""

    def __init__(self, path: Path, sim: Simulator, forge) -> None:
        self.path, self.sim, self._forge = path, sim, forge

    def job(self, *, source=SOURCE, request=REQUEST, sinks=SINKS, url="", batch=1000, text=None):
        job = JOB.format(url=url or self.sim.url, source=source, request=request, sinks=sinks, batch=batch)
        (self.path / "batchflow.yaml").write_text(text if text is not None else job)

    def records(self, count=3, name="in.jsonl", start=0):
        rows = [{"id": f"k{n}", "text": f"text {n}"} for n in range(start, start + count)]
        (self.path / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def begin(self, *words, env=None, limit=None, ordinary=False, stdout=PIPE):
        """Begins a command; `limit` is the most bytes it may write into one file, as a full disk would have it."""
        first = [("ordinary:become",)] if ordinary else []
        if limit is not None:
            first.append(("resource:setrlimit", resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)))
        env = clean() | {"KEY": KEY} | (env or {})
        return self._forge.begin(*words, folder=self.path, env=env, stdout=stdout, first=first)

    def type_and_weigh(self, *words):
        """Types a command in a process that is no fork; gives the most memory that it had, in KiB, too."""
        status = self.path / "status"
        code = WEIGHED.format(path=str(status)) + MAIN
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=self.path, env=clean() | {"KEY": KEY}, text=True, capture_output=True,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return Said(done.returncode, done.stdout, done.stderr), int(line.split()[1])

    def type_as_ordinary_user(self, *words):
        """Types a command as somebody to whom the permissions of files apply."""
        return self.type(*words, ordinary=True)

    def type(self, *words, **how):
        """Types a command and waits for its end."""
        with self.begin(*words, **how) as process:
            out, err = process.communicate()
        return Said(process.returncode, out, err)

    def type_until(self, text, *words, **how):
        """Types a command, and Ctrl-C as soon as it says this."""
        with self.begin(*words, **how) as process:
            heard = ""
            for line in process.stderr:
                heard += line
                if text in line:
                    process.send_signal(signal.SIGINT)
                    break
            out, err = process.communicate()
        return Said(process.returncode, out, heard + err)

    def lines(self, name="out.jsonl"):
        """The lines of a file, each of which must be whole."""
        path = self.path / name
        data = path.read_bytes() if path.exists() else b""
        assert not data or data.endswith(b"\n")
        return [json.loads(line) for line in data.splitlines()]

    @property
    def keys(self):
        return sorted(row["key"] for row in self.lines())

    @property
    def asked(self):
        return self.sim.stats()["requests_accepted"]

    @property
    def state(self):
        return self.path / ".batchflow"

    def ps(self):
        [run] = json.loads(self.type("ps", "--json").out)
        assert run["balanced"], run
        return run


def clean():
    """This environment, without what would change how the command behaves."""
    ours = ("ANTHROPIC_", "BATCHFLOW_")
    return {
        name: value for name, value in os.environ.items() if not name.startswith(ours) and "proxy" not in name.lower()
    }


@pytest.fixture
def folder_of(tmp_path, forge):
    """Opens a folder with a sound job of three records; fault flags and options are the simulator's."""
    started = []

    def make(*flags, **options):
        plan = FaultPlan.parse(flags)
        sim = Simulator(**{"speed": 3600, "duration": 60, "faults": plan, "keys": {KEY: "wrkspc_1"}, **options}).start()
        started.append(sim)
        folder = Folder(tmp_path, sim, forge)
        folder.job()
        folder.records()
        return folder

    yield make
    for sim in started:
        sim.stop()


@pytest.fixture
def folder(folder_of):
    return folder_of()
