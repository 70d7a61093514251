"""A folder with a job, a simulator behind it, and the command line: in this process, or as a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from batchflow.cli.app import command_line
from batchflow.extend.facade import Plugins
from batchflow.sim import FaultPlan, Simulator

COMMAND = [sys.executable, "-c", "from batchflow.cli import main; main()"]
JOB = """
version: 1
provider: {{base_url: "{url}", api_key: "{key}"}}
jobs:
  triage:
    source: {{type: jsonl, path: in.jsonl, key: id, carry: [tenant]}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ id }}}}: {{{{ text }}}}"}}
    sinks:
      - {{type: jsonl, path: out.jsonl}}
      - {{type: jsonl, path: dead.jsonl, on: dead}}
{more}
"""


@dataclass
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self):
        return json.loads(self.out)


class Shop:
    """A job folder at work."""

    def __init__(self, folder: Path, sim: Simulator, capfd, forge) -> None:
        self.folder = folder
        self.sim = sim
        self._capfd = capfd
        self._forge = forge
        self._processes = []

    def write(self, *, records=4, more="", url="", key="key", text="water in the kitchen"):
        rows = [{"id": f"k-{n}", "tenant": "north", "text": text} for n in range(records)]
        (self.folder / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        more = "".join(f"    {line}\n" for line in more.splitlines())
        (self.folder / "batchflow.yaml").write_text(JOB.format(url=url or self.sim.url, key=key, more=more))

    def __call__(self, *words) -> Said:
        """Type a command, in this process."""
        self._capfd.readouterr()
        code = command_line(words)
        out, err = self._capfd.readouterr()
        return Said(code, out, err)

    def process(self, *words):
        """Type a command, as a process of its own."""
        process = self._forge.begin(*words, folder=self.folder)
        self._processes.append(process)
        return process

    def cold(self, *words, env=None) -> subprocess.Popen[str]:
        """Type a command, as a process that is no fork: it begins with nothing imported."""
        process = subprocess.Popen(
            [*COMMAND, *words], cwd=self.folder, env={**os.environ, **(env or {})}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def close(self):
        for process in self._processes:
            process.kill()
            with process:
                pass

    def lines(self, name="out.jsonl"):
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def asked(self) -> int:
        """How many requests the API has accepted."""
        return self.sim.stats()["requests_accepted"]

    def in_store(self, work):
        """Do something with the state store: `work` is an async function that takes it."""

        async def opened():
            store = Plugins(entry_points=False).state_store("sqlite")(path=self.folder / ".batchflow" / "state.db")
            await store.open()
            try:
                return await work(store)
            finally:
                await store.close()

        return anyio.run(opened)


@pytest.fixture
def simulate():
    """Start simulators that are quick: fault flags as positional arguments, options by keyword."""
    started = []

    def start(*flags, **options):
        sim = Simulator(**{"seed": 7, "speed": 3600, "duration": 600, "faults": FaultPlan.parse(flags), **options})
        started.append(sim.start())
        return sim

    yield start
    for sim in started:
        sim.stop()


@pytest.fixture
def shop_of(tmp_path, monkeypatch, capfd, forge):
    """Open a shop in front of a simulator."""
    for name in [*os.environ]:
        if name.startswith(("ANTHROPIC_", "BATCHFLOW_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    shops = []

    def make(sim, **how):
        shop = Shop(tmp_path, sim, capfd, forge)
        shop.write(**how)
        shops.append(shop)
        return shop

    yield make
    for shop in shops:
        shop.close()


@pytest.fixture
def shop(simulate, shop_of):
    """A job of four records that all succeed."""
    return shop_of(simulate())
