"""`state:` as a map: stores that are not in the state folder, which remembers them for whoever looks."""

import json

import pytest

STATE = 'state: {folder: runs, store: {type: sqlite, path: other/base.db}, objects: {type: folder, path: "${env:BIG}/objects"}}\n'


@pytest.fixture
def spread(shop, monkeypatch):
    """A shop whose state folder is elsewhere, its database in another, and its objects on a large disk."""
    monkeypatch.setenv("BIG", str(shop.folder / "big"))
    with (shop.folder / "batchflow.yaml").open("a") as file:
        file.write(STATE)
    monkeypatch.setenv("BATCHFLOW_HOME", "")
    return shop


HOUSE = """
from pathlib import Path
from typing import Annotated

from batchflow import Plugins
from batchflow.plugin import Doc, hookimpl

BOX = Plugins(entry_points=False)


class Watched:
    \"\"\"A store that says who used it.\"\"\"

    def __init__(self, path):
        self._store = BOX.state_store("sqlite")(path=path)
        self._log = path.with_suffix(".log")

    def __getattr__(self, name):
        with self._log.open("a") as log:
            log.write(name + "\\n")
        return getattr(self._store, name)


def watched(*, path: Annotated[Path, Doc("Where.")]) -> Watched:
    \"\"\"Keep runs, and watch.\"\"\"
    return Watched(path)


@hookimpl
def register_state_stores(register):
    register("watched", watched)
"""


@pytest.fixture
def theirs(shop, monkeypatch):
    """A shop whose runs are kept in a store that a plugin file brings."""
    (shop.folder / "house.py").write_text(HOUSE)
    job = shop.folder / "batchflow.yaml"
    job.write_text(
        f"plugins: [house.py]\nstate: {{folder: runs, store: {{type: watched, path: db/base.db}}}}\n{job.read_text()}"
    )
    (shop.folder / "db").mkdir()
    monkeypatch.setenv("BATCHFLOW_HOME", "")
    return shop


def test_a_plugins_state_store_serves_every_command(theirs):
    log = theirs.folder / "db" / "base.log"
    assert theirs("validate").code == 0
    assert not log.exists()
    assert theirs("run", "--no-wait").code == 10
    for words in (["ps", "--json"], ["resume"], ["run"], ["report"], ["show", "k-1"], ["results"], ["doctor"], ["gc"]):
        log.write_text("")
        said = theirs(*words, "--state", "runs")
        assert said.code == 0, (words, said.err)
        assert {"open", "close"} <= set(log.read_text().split()), words
    assert (theirs.folder / "db" / "base.db").is_file()
    assert not (theirs.folder / "runs" / "state.db").exists()
    assert len(theirs.lines()) == theirs.asked == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "\nfrom pathlib",
            "\nimport no_such_driver\nfrom pathlib",
            "plugin house (house.py) was left out: line 2: ModuleNotFound",
        ),
        ("    return Watched(path)", "    raise RuntimeError('no disk')", "could not be made: RuntimeError: no disk"),
        (
            "return getattr(self._store, name)",
            "return getattr(self._store, name) if name != 'open' else self.breaks\n\n    async def breaks(self, *_):\n        raise RuntimeError('no disk')",
            "house.Watched (house.py) failed in its `open`: RuntimeError: no disk",
        ),
    ],
    ids=["import", "factory", "open"],
)
def test_a_plugins_state_store_that_is_broken_is_named_and_nothing_is_sent(theirs, old, new, said):
    file = theirs.folder / "house.py"
    file.write_text(file.read_text().replace(old, new))
    found = theirs("run")
    assert said in found.err
    assert "mistake of batchflow's own" not in found.err
    assert theirs.asked == 0


def edit(shop, old, new):
    file = shop.folder / "batchflow.yaml"
    file.write_text(file.read_text().replace(old, new))


def test_everything_lies_where_the_file_says(spread):
    assert spread("run").code == 0
    assert (spread.folder / "other" / "base.db").is_file()
    assert list((spread.folder / "big" / "objects").iterdir())
    assert not (spread.folder / ".batchflow").exists()
    assert not (spread.folder / "runs" / "state.db").exists()
    assert (spread.folder / "runs" / "stores.json").stat().st_mode & 0o077 == 0
    assert (spread.folder / "runs" / ".gitignore").read_text() == "*\n"


def test_who_looks_needs_no_job_file(spread):
    spread("run")
    (spread.folder / "batchflow.yaml").unlink()
    assert [run["state"] for run in spread("ps", "--json", "--state", "runs").facts] == ["done"]
    assert spread("show", "k-1", "--json", "--state", "runs").facts["key"] == "k-1"
    assert spread("doctor", "--state", "runs").code == 0


def test_references_are_remembered_as_references(spread):
    spread("run")
    kept = json.loads((spread.folder / "runs" / "stores.json").read_text())
    assert kept["state"]["objects"]["path"] == "${env:BIG}/objects"
    assert kept["file"] == "../batchflow.yaml"


def test_a_second_run_finds_the_first(spread):
    spread("run")
    assert "already delivered" in spread("run").err
    edit(spread, STATE, "state: runs\n")
    assert "already delivered" in spread("run").err


@pytest.mark.parametrize(("old", "new", "word"), [("/objects", "/objs", "objects"), ("base.db", "new.db", "state")])
def test_a_folder_with_runs_keeps_its_stores(spread, old, new, word):
    spread("run")
    edit(spread, old, new)
    said = spread("run")
    assert said.code == 2
    assert f"have their {word} in {{type: " in said.err
    assert "write back what it was, or give the file a state folder of its own" in said.err


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{objects: {type: memory}}", "`memory` forgets everything when the command ends"),
        ("{store: {type: memory}}", "`memory` forgets everything when the command ends"),
        ("{objects: {type: folder}}", "`path` is required"),
        ("{objects: {type: s4}}", "there is no blob_store `s4`"),
        ("{objekts: {type: folder, path: x}}", "did you mean `objects`? known: folder, objects, store"),
        ("5", "should be a path"),
    ],
)
def test_mistakes_are_told_at_their_place(spread, written, said):
    edit(spread, STATE, f"state: {written}\n")
    found = spread("validate")
    assert found.code == 3
    assert said in found.err
    assert "batchflow.yaml:12:" in found.err


def test_what_a_missing_variable_hides_is_said_by_the_folder_itself(spread, monkeypatch):
    spread("run")
    monkeypatch.delenv("BIG")
    said = spread("show", "k-1", "--state", "runs")
    assert said.code == 3
    assert "runs/stores.json:" in said.err
    assert "environment variable BIG is not set" in said.err


@pytest.mark.parametrize("command", ["run", "show k-1 --state runs", "doctor --state runs"])
def test_a_variable_that_leads_elsewhere_is_refused_with_both_places(spread, monkeypatch, command):
    spread("run")
    monkeypatch.setenv("BIG", str(spread.folder / "small"))
    said = spread(*command.split())
    assert said.code == 2
    assert "have their objects in {type: folder, path: ../big/objects}" in said.err
    assert "now leads elsewhere: in {type: folder, path: ../small/objects}" in said.err
    assert not (spread.folder / "small").exists()
