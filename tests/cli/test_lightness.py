"""What is typed most must start at once: heavy libraries are imported by the verbs that need them, and by no other."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from batchflow.cli.app import VERBS

HEAVY = {"anthropic", "aiohttp", "aiosqlite", "uvicorn", "starlette", "sqlite3"}
NOT_FOR_HELP = HEAVY | {"pydantic", "jinja2", "jsonschema_rs", "yaml", "msgspec", "anyio", "zstandard", "pluggy"}
PROGRAM = """
import sys
from batchflow.cli.app import command_line
code = command_line({words!r})
print(code, *sorted({heavy!r} & set(sys.modules)))
"""


def imported(words, heavy, folder, **env):
    program = PROGRAM.format(words=words, heavy=heavy)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("words", [["--help"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_heavy(tmp_path, words):
    assert imported(words, NOT_FOR_HELP, tmp_path) == ["0"]


def test_the_package_is_a_program_too(tmp_path):
    words = [sys.executable, "-X", "importtime", "-m", "batchflow", "--version"]
    done = subprocess.run(words, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == version("batchflow-jobs")
    assert not NOT_FOR_HELP & {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_to_import_that_program_is_not_to_run_it(tmp_path):
    words = [sys.executable, "-c", "import batchflow.__main__"]
    done = subprocess.run(words, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_to_look_at_runs_reads_no_job_files(tmp_path):
    assert imported(["ps", "--state", "."], {"pydantic", "yaml", "jinja2", "anthropic"}, tmp_path) == ["2"]


@pytest.mark.parametrize("verb", [name for name, _, _ in VERBS])
def test_the_help_of_a_verb_imports_none_of_its_work(tmp_path, verb):
    assert imported([verb, "--help"], NOT_FOR_HELP, tmp_path) == ["0"]


def test_validate_imports_no_client_and_no_store(shop):
    assert imported(["validate"], HEAVY, shop.folder) == ["0"]


def test_plan_imports_no_client_and_no_store(shop):
    assert imported(["plan"], HEAVY, shop.folder) == ["0"]


def test_looking_at_runs_imports_no_client(shop):
    shop("run")
    assert imported(["ps"], {"anthropic", "aiohttp", "uvicorn", "jinja2"}, shop.folder) == ["0"]


def test_to_bring_results_again_imports_no_client(shop):
    shop("run")
    (shop.folder / "out.jsonl").unlink()
    words = ["replay", "triage", "--sink", "jsonl"]
    assert imported(words, {"anthropic", "aiohttp", "uvicorn", "starlette"}, shop.folder) == ["0"]
    assert len(shop.lines()) == 4


def test_every_verb_says_what_it_is_for():
    for _, _, sentence in VERBS:
        assert sentence.endswith(".")


def test_what_ends_with_the_process_is_not_gone_through_for_cycles(tmp_path):
    program = "import atexit, gc; from batchflow.cli import main; atexit.register(lambda: print(gc.get_freeze_count())); main()"
    words = [sys.executable, "-c", program, "--version"]
    done = subprocess.run(words, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) > 1000
