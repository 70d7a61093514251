"""A job file whose objects lie in a bucket: every command that needs them finds them, with or without the file."""

import json
import os
from pathlib import Path

import pytest

from batchflow.cli.app import command_line
from batchflow.sim import FaultPlan, Simulator

JOB = """
state:
  objects: {{type: s3, url: "{url}objects/", endpoint_url: "{server}", path_style: true}}
provider: {{base_url: "{api}", api_key: key}}
jobs:
  triage:
    source: {{type: jsonl, path: in.jsonl, key: id}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ id }}}}"}}
    sinks: [{{type: jsonl, path: out.jsonl}}]
"""


class Shop:
    """A job folder whose objects are in a bucket."""

    def __init__(self, folder: Path, shelf, server: str, sim: Simulator, capfd) -> None:
        self.folder, self.shelf, self.sim = folder, shelf, sim
        self._capfd = capfd
        self.url = f"s3://{shelf.bucket}/"
        self.text = JOB.format(url=self.url, server=server, api=sim.url)
        self.write(self.text)
        (folder / "in.jsonl").write_text("".join(f'{{"id": "k-{n}"}}\n' for n in range(4)))

    def write(self, text: str) -> None:
        (self.folder / "batchflow.yaml").write_text(text)

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self._capfd.readouterr()
        code = command_line(words)
        out, err = self._capfd.readouterr()
        return code, out, err


@pytest.fixture
def shop(tmp_path, monkeypatch, capfd, shelf, moto):
    for name in [*os.environ]:
        if name.startswith(("ANTHROPIC_", "BATCHFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    sim = Simulator(seed=7, speed=3600, duration=600, faults=FaultPlan.parse(["row:k-2:refusal,times=1"]))
    with sim.start() as running:
        yield Shop(tmp_path, shelf, moto, running or sim, capfd)


def test_every_command_finds_the_objects_in_their_bucket(shop):
    assert shop("run")[0] == 4
    assert shop.shelf.names("objects/") != []
    assert not (shop.folder / ".batchflow" / "objects").exists()
    (shop.folder / "batchflow.yaml").rename(shop.folder / "away")
    code, out, _ = shop("show", "k-1", "--json")
    assert (code, json.loads(out)["key"]) == (0, "k-1")
    code, out, err = shop("doctor", "--json")
    assert (code, json.loads(out)["findings"]) == (0, []), err
    (shop.folder / "away").rename(shop.folder / "batchflow.yaml")
    assert len(shop("results")[1].splitlines()) == 3
    assert shop("retry", "--only", "refused")[0] == 0
    assert len(shop("results")[1].splitlines()) == 4
    assert shop("gc", "--keep", "0s", "--yes")[0] == 0
    assert shop.shelf.names("objects/") == []


def test_a_folder_keeps_the_stores_that_its_runs_have(shop):
    shop("run")
    shop.write(shop.text.replace("objects/", "elsewhere/"))
    code, _, err = shop("run", "--new")
    assert code == 2
    assert f"have their objects in {{type: s3, url: {shop.url}objects/" in err
    assert f"and batchflow.yaml says in {{type: s3, url: {shop.url}elsewhere/" in err
    assert "state: {folder: .batchflow-2" in err
    assert shop.shelf.names("elsewhere/") == []


def test_a_file_that_says_nothing_follows_the_folder(shop):
    shop("run")
    before = len(shop.shelf.names("objects/"))
    without = shop.text.splitlines()
    shop.write("\n".join(without[:1] + without[3:]))
    (shop.folder / "out.jsonl").unlink()
    assert shop("run", "--new")[0] in {0, 4}
    assert len(shop.shelf.names("objects/")) > before


def test_runs_that_are_in_the_folder_stay_there(shop):
    without = shop.text.splitlines()
    shop.write("\n".join(without[:1] + without[3:]))
    shop("run")
    shop.write(shop.text)
    code, _, err = shop("run")
    assert code == 2
    assert "have their objects in the folder itself, and batchflow.yaml says in {type: s3" in err


def test_how_a_bucket_is_reached_may_change(shop):
    shop("run")
    shop.write(shop.text.replace("path_style: true", "path_style: true, region: eu-central-1"))
    code, _, err = shop("run")
    assert (code, "already delivered" in err) == (0, True)
    kept = json.loads((shop.folder / ".batchflow" / "stores.json").read_text())
    assert kept["state"]["objects"]["region"] == "eu-central-1"
    assert shop("show", "k-1")[0] == 0
