"""The repository as a workspace: every plugin is a member that a plain `uv run pytest` finds, and nothing ties it to a place."""

import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

import batchflow

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))


@pytest.fixture(scope="module")
def inspect_packages():
    spec = importlib.util.spec_from_file_location("inspect_packages", ROOT / "scripts/inspect_packages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_distribution_is_named_so_that_it_is_nobody_elses():
    assert PROJECT["project"]["name"] == "batchflow-jobs"
    assert PROJECT["project"]["scripts"] == {"batchflow": "batchflow.cli:main"}
    assert distribution("batchflow-jobs").version == PROJECT["project"]["version"]


def test_its_types_are_for_others_too():
    assert (Path(batchflow.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_is_tested_by_the_plain_command(plugin):
    assert plugin.name in PROJECT["dependency-groups"]["dev"]
    assert PROJECT["tool"]["uv"]["sources"][plugin.name] == {"workspace": True}
    assert "plugins" in PROJECT["tool"]["pytest"]["ini_options"]["testpaths"]
    assert list(plugin.glob("tests/test_*.py"))


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_stands_alone(plugin):
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["name"] == plugin.name
    assert project["project"]["entry-points"]["batchflow"]
    assert any(need.startswith("batchflow-jobs") for need in project["project"]["dependencies"])
    assert any(need.startswith("pytest") for need in project["dependency-groups"]["dev"])
    assert list(plugin.glob("src/*/py.typed"))
    assert (plugin / "README.md").exists()


def test_no_file_names_a_package_index_or_a_persons_machine():
    told = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    settings = [ROOT / name for name in told if name.endswith((".toml", ".cfg", ".ini", ".yaml", ".yml", ".ci/run"))]
    settings = settings or [ROOT / "pyproject.toml", *(plugin / "pyproject.toml" for plugin in PLUGINS)]
    wrong = re.compile(r"index-url|extra-index|find-links|\[\[tool\.uv\.index|/simple\b|/root/|/home/")
    assert {path.name for path in settings if wrong.search(path.read_text(encoding="utf-8"))} == set()


@pytest.mark.parametrize(("extra", "library"), [("s3", "(aio)?boto"), ("parquet", "pyarrow")])
def test_an_extra_brings_its_plugin_and_core_never_imports_its_library(extra, library):
    assert PROJECT["project"]["optional-dependencies"][extra] == [f"batchflow-{extra}"]
    assert not [path for path in ROOT.glob("src/**/*.py") if re.search(f"(import|from) {library}", path.read_text())]


def test_the_pytest_plugin_is_announced():
    [found] = entry_points(group="pytest11", name="batchflow")
    assert found.value == "batchflow.testing.pytest_plugin"


def test_a_package_without_types_or_with_tests_is_complained_about(inspect_packages, tmp_path):
    wheel = tmp_path / "batchflow_thing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("batchflow_thing/__init__.py", "")
        archive.writestr("tests/test_thing.py", "")
    assert inspect_packages.complaints(wheel) == [
        "tests/test_thing.py does not belong in it",
        "py.typed is missing, so its types are lost",
    ]
    assert inspect_packages.main(tmp_path) == 1


def test_a_core_package_without_its_migrations_is_complained_about(inspect_packages, tmp_path):
    wheel = tmp_path / "batchflow_jobs-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in ROOT.glob("src/**/*"):
            if path.is_file() and path.suffix != ".sql" and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(ROOT / "src"))
    found = inspect_packages.complaints(wheel)
    assert "batchflow/builtin/stores/sqlite/migrations/0001_first.sql is missing" in found
    assert all(complaint.endswith(".sql is missing") for complaint in found)


def test_importing_batchflow_imports_nothing_heavy():
    code = "import sys, batchflow; print(*(name for name in sys.modules if name in {'anthropic', 'pydantic', 'anyio', 'jinja2'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
