"""The fault table (benchmarks/faults.py) is measured: what it says of batchflow is what is promised, and faults do happen."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDS = 20


def table(*faults):
    """Prints the lines about some faults; gives them by fault and side."""
    only = [word for fault in faults for word in ("--only", fault)]
    command = [sys.executable, ROOT / "benchmarks/faults.py", "--records", str(RECORDS), *only]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()[2:]]
    return {(fault, side): tuple(figures) for fault, side, *figures in rows}


@pytest.mark.slow
def test_the_table_shows_what_a_lost_reply_and_a_short_file_cost_each_side():
    lost, short = "reply to a create lost (connection reset)", "results end early, and HTTP does not notice"
    told = table(lost, short)
    assert told[lost, "batchflow"] == told[short, "batchflow"] == ("1.000", "0", "0", "0")
    assert told[lost, "plain script"] == ("1.200", "0", "0", "0")
    billed, missing, doubled, steps = told[short, "plain script"]
    assert (billed, doubled, steps) == ("1.000", "0", "0")
    assert int(missing) > 0
