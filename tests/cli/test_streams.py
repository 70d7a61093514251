"""Standard output and standard error that are full, closed or not read: told in a sentence and a code, and nobody's mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from batchflow.cli.exits import Exit

COMMAND = (sys.executable, "-m", "batchflow")
FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def to_full(shop, monkeypatch):
    """Type a command whose standard stream of this name is on a full device."""

    def typed(stream, *words):
        with monkeypatch.context() as patch, FULL.open("w", encoding="utf-8") as full:
            patch.setattr(f"sys.{stream}", full)
            return shop(*words)

    return typed


def test_a_command_that_looks_says_that_its_output_could_not_be_written(shop, to_full):
    shop("run")
    for words in (
        ("ps",), ("ps", "--json"), ("schema",), ("validate",), ("validate", "--json"), ("plan",), ("report", "triage"),
        ("show", "k-1"), ("describe",), ("describe", "--json"), ("--help",), ("--version",), ("init", "elsewhere"),
    ):  # fmt: skip
        said = to_full("stdout", *words)
        assert said.code == Exit.USAGE, words
        assert "standard output could not be written: No space left on device" in said.err, words
        assert "next:" in said.err, words
        assert "Traceback" not in said.err, words


def test_a_command_that_went_wrong_keeps_its_code_when_its_output_is_lost_too(shop, to_full):
    (shop.folder / "batchflow.yaml").write_text("jobs: 3")
    assert to_full("stdout", "validate", "--json").code == Exit.CONFIG


def test_a_run_whose_report_cannot_be_written_ends_with_its_own_code(shop, to_full):
    said = to_full("stdout", "run", "--json")
    assert said.code == Exit.DELIVERED
    assert "standard output could not be written" in said.err
    assert said.err.rstrip().splitlines()[-1].startswith("next:  `batchflow report ")
    assert len(shop.lines()) == 4


def test_a_run_goes_on_when_its_remarks_cannot_be_written(shop, to_full):
    assert to_full("stderr", "run").code == Exit.DELIVERED
    assert len(shop.lines()) == 4


def test_results_that_cannot_be_written_are_not_said_to_need_a_resume(shop):
    shop("run")
    with FULL.open("w", encoding="utf-8") as full:
        process = subprocess.run(
            [*COMMAND, "results"], cwd=shop.folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert process.returncode == Exit.USAGE
    assert "standard output could not be written: No space left on device" in process.stderr
    assert "resume" not in process.stderr
    assert "Traceback" not in process.stderr


def test_closed_streams_are_told_and_their_numbers_go_to_no_file(shop):
    shop.write(more="  - {type: stdout}")
    run = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "run"],
        cwd=shop.folder, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == Exit.PAUSED, run.stderr
    assert "part parked: cannot write to standard output: Bad file descriptor" in run.stderr
    assert shop("resume", "triage").code == Exit.DELIVERED
    assert shop.asked == 4
