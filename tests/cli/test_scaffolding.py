"""`plugin new` writes packages that are sound as they stand: their tests pass, their jobs are valid, nothing is overwritten."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from batchflow.cli.app import command_line
from batchflow.cli.running_core import uv_sources
from batchflow.cli.scaffolds import Wanted
from batchflow.extend.kinds import Kind

KINDS = get_args(Wanted)
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@pytest.fixture
def new(tmp_path, monkeypatch, capfd):
    """Writes a package `acme-KIND`, and gives its folder."""
    monkeypatch.chdir(tmp_path)

    def write(kind) -> Path:
        name = f"acme-{kind.replace('_', '-')}"
        assert command_line(["plugin", "new", name, "--kind", kind]) == 0
        assert f"Next: cd {name} && uv run pytest" in capfd.readouterr().out
        return tmp_path / name

    return write


def install(package: Path, monkeypatch) -> None:
    """Does what an installer does, but for copying: the package is on the path, and its entry point is written beside it."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = package / "src" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["batchflow"]
    lines = [f"{name} = {module}\n" for name, module in points.items()]
    (info / "entry_points.txt").write_text("".join(["[batchflow]\n", *lines]))
    monkeypatch.syspath_prepend(package / "src")


def lines_of_code(path: Path) -> int:
    """Counts lines that hold code: no comments, no docstrings."""
    tokens = list(tokenize.generate_tokens(io.StringIO(path.read_text()).readline))
    lines = {
        line
        for before, token in zip([None, *tokens], tokens, strict=False)
        if token.type not in LAYOUT
        if not (token.type == tokenize.STRING and (before is None or before.type in LAYOUT))
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_sound_and_its_job_is_valid(new, kind, monkeypatch, capfd):
    package = new(kind)
    install(package, monkeypatch)
    assert command_line(["plugin", "check", package.name]) == 0
    assert capfd.readouterr().out == f"acme_{kind} ({package.name} 0.1.0): sound\n"
    for preparing in package.glob("example/prepare.py"):
        subprocess.run([sys.executable, preparing], check=True)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    assert command_line(["validate", str(package / "example/batchflow.yaml")]) == 0
    if kind != "hook":
        assert command_line(["describe", kind, f"acme_{kind}"]) == 0
        assert f"{kind} `acme_{kind}`, from acme_{kind}" in capfd.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_shows_the_job_that_is_there(new, kind):
    package = new(kind)
    [shown] = re.findall(r"^```yaml\n(.*?)^```$", (package / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown == (package / "example/batchflow.yaml").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_of_the_template_is_left(new, kind):
    files = {path: path.read_text() for path in new(kind).rglob("*") if path.is_file()}
    assert [path for path, text in files.items() if re.search("your[-_](plugin|part)", f"{path}{text}")] == []
    assert {path.suffix for path in files} >= {".toml", ".md", ".py", ".typed", ".yaml"}


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_it_needs_and_no_more(new, kind):
    package = new(kind)
    needs = tomllib.loads((package / "pyproject.toml").read_text())["project"]["dependencies"]
    imported = "".join(path.read_text() for path in package.glob("src/**/*.py"))
    assert ("anyio>=4.9" in needs) == ("from anyio" in imported)
    assert any(need.startswith("batchflow-jobs") for need in needs)


def test_a_first_sink_is_25_lines_of_code(new):
    assert sum(map(lines_of_code, new("sink").glob("src/**/*.py"))) <= 25


def test_the_new_packages_are_clean_by_their_own_settings(new, tmp_path):
    for kind in KINDS:
        new(kind)
    for words in (["check"], ["check", "--select", "I,UP,B,SIM,RUF"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", tmp_path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_tests_of_new_packages_pass_as_written(new):
    packages = [new(kind) for kind in KINDS if kind != "sink"]  # which the next test tries
    path = os.pathsep.join(str(package / "src") for package in packages)
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(packages[0] / "pyproject.toml")]
    done = subprocess.run(
        [sys.executable, *words, *(str(package / "tests") for package in packages)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 550


@pytest.mark.slow
def test_the_first_sink_keeps_its_contract_in_an_environment_of_its_own(new):
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        pytest.skip("there is no uv here")
    package = new("sink")
    kept = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    done = subprocess.run(
        [uv, "run", "-q", "pytest"], cwd=package, env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 40
    told = subprocess.run(
        [uv, "run", "-q", "batchflow", "plugin", "check"],
        cwd=package,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "acme_sink (acme-sink 0.1.0): sound\n"


@pytest.mark.parametrize(
    ("name", "why", "better"),
    [
        ("AcmeLake", "lower-case letters", "acme-lake"),
        ("acme_lake", "single dashes", "acme-lake"),
        ("9lives", "begins with a letter", "my-9lives"),
        ("../up", "lower-case letters", "up"),
        ("ä", "lower-case letters", "my-sink"),
        ("class", "word of Python's own", "class-sink"),
        ("json", "module of Python's own", "json-sink"),
        ("batchflow", "taken", "batchflow-sink"),
        ("pytest", "installed here", "pytest-sink"),
        ("pyyaml", "installed here", "pyyaml-sink"),
        ("jsonl", "batchflow has a sink `jsonl`", "jsonl-sink"),
        ("batchflow-csv", "batchflow has a sink `csv`", "batchflow-csv-sink"),
    ],
)
def test_a_name_that_would_not_do_is_refused_with_a_better_one(tmp_path, monkeypatch, capfd, name, why, better):
    monkeypatch.chdir(tmp_path)
    assert command_line(["plugin", "new", name]) == 2
    said = capfd.readouterr().err
    assert why in said
    assert "nothing was written" in said
    assert list(tmp_path.iterdir()) == []
    [suggested] = re.findall(r"type `batchflow (plugin new .*)`", said)
    assert suggested == f"plugin new {better} --kind sink"
    assert command_line(suggested.split()) == 0


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("filter", "upper", "batchflow has a filter `upper`"),
        ("filter", "tojson", "batchflow has a filter `tojson`"),
        ("global", "range", "batchflow has a global `range`"),
        ("prices", "batchflow-anthropic", "batchflow has a price book `anthropic`"),
        ("command", "plan", "batchflow has a verb `plan`"),
        ("command", "batchflow-plugin", "batchflow has a verb `plugin`"),
    ],
)
def test_what_would_stand_in_the_way_of_a_part_in_the_box_is_refused(tmp_path, monkeypatch, capfd, kind, name, why):
    monkeypatch.chdir(tmp_path)
    assert command_line(["plugin", "new", name, "--kind", kind]) == 2
    said = capfd.readouterr().err
    assert why in said
    [suggested] = re.findall(r"type `batchflow (plugin new .*)`", said)
    assert suggested == f"plugin new {name}-{kind} --kind {kind}"
    assert command_line(suggested.split()) == 0


def test_a_new_verb_can_be_typed(new, monkeypatch, capfd):
    install(new("command"), monkeypatch)
    assert command_line(["acme_command", "acme-command/example/animals.jsonl", "--by", "tenant"]) == 0
    assert capfd.readouterr().out == "2\tnorth\n1\tsouth\n"


def test_a_new_price_book_is_what_a_plan_is_reckoned_by(new, monkeypatch, capfd):
    package = new("prices")
    assert command_line(["plan", str(package / "example/batchflow.yaml"), "--json"]) == 0
    [before] = json.loads(capfd.readouterr().out)
    install(package, monkeypatch)
    assert command_line(["plan", str(package / "example/batchflow.yaml"), "--json"]) == 0
    [after] = json.loads(capfd.readouterr().out)
    assert after["at_most"] == pytest.approx(before["at_most"] * 0.9)


def test_every_kind_that_can_be_written_is_one_that_there_is():
    assert set(KINDS) == {*Kind, "hook"}


def test_a_part_does_not_bear_the_prefix_of_its_plugin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command_line(["plugin", "new", "batchflow-lake"]) == 0
    registering = (tmp_path / "batchflow-lake/src/batchflow_lake/__init__.py").read_text()
    assert 'register("lake", "batchflow_lake.sink:Table")' in registering


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acme-lake").mkdir()
    (tmp_path / "acme-lake/notes.txt").write_text("mine")
    assert command_line(["plugin", "new", "acme-lake"]) == 2
    assert "there is a folder acme-lake already; nothing was written" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "acme-lake").iterdir()] == ["notes.txt"]


def test_the_core_is_taken_from_where_it_was_installed_from(tmp_path):
    wheel = tmp_path / "a wheel.whl"
    wheel.touch()
    folder, package = tmp_path.as_uri(), tmp_path / "acme-lake"
    found = {
        "editable": uv_sources(json.dumps({"url": folder, "dir_info": {"editable": True}}), package),
        "folder": uv_sources(json.dumps({"url": folder, "dir_info": {}}), package),
        "wheel": uv_sources(json.dumps({"url": wheel.as_uri(), "archive_info": {}}), package),
        "gone": uv_sources(json.dumps({"url": f"{folder}/gone", "dir_info": {}}), package),
        "web": uv_sources(json.dumps({"url": "https://example.org/a.whl", "archive_info": {}}), package),
        "git": uv_sources(json.dumps({"url": "https://example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}), package),
        "index": uv_sources(None, package),
    }  # fmt: skip
    read = {name: tomllib.loads(text).get("tool", {}) for name, text in found.items()}
    assert {name: tool.get("uv", {}).get("sources", {}).get("batchflow-jobs") for name, tool in read.items()} == {
        "editable": {"path": str(tmp_path), "editable": True},
        "folder": {"path": str(tmp_path), "editable": True},
        "wheel": {"path": str(wheel)},
        "gone": None,
        "web": {"url": "https://example.org/a.whl"},
        "git": {"git": "https://example.org/a.git", "rev": "c0ffee"},
        "index": None,
    }


def test_a_package_in_the_cores_own_workspace_is_a_member_of_it(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["plugins/*"]\n')
    noted = json.dumps({"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert "batchflow-jobs = { workspace = true }" in uv_sources(noted, tmp_path / "plugins/acme-lake")
    for place in ("acme-lake", "plugins/a/acme-lake", "x/plugins/acme-lake"):
        assert "path = " in uv_sources(noted, tmp_path / place)
