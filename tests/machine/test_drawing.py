"""The tables, the docstrings and the committed page say the same."""

import re
from pathlib import Path

import pytest

from batchflow.machine import batch, drawing, run
from batchflow.model.state import BatchState, RunState

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "state-machine.md"
ARROW = re.compile(r"(\w+) -> ((?:\w+)(?: \| \w+)*)")


def written(docstring, states):
    """Reads the arrows out of a docstring: one line for each state, beginning with its name."""
    arrows = set()
    for line in docstring.splitlines():
        state, _, rest = line.strip().partition(" ")
        if line.startswith("    ") and state in set(states) and "->" in rest:
            for event, targets in ARROW.findall(rest):
                arrows |= {(state, event, target) for target in targets.split(" | ")}
    return arrows


def test_the_docstring_of_the_batch_machine_is_its_table():
    table = {(state, event.__name__, target) for state, row in batch.TABLE.items() for event, target in row.items()}
    assert written(batch.__doc__, BatchState) == table


def test_the_docstring_of_the_run_machine_is_its_table():
    table = {
        (state, event.__name__, target)
        for state, row in run.TABLE.items()
        for event, targets in row.items()
        for target in targets
    }
    assert written(run.__doc__, RunState) == table


def test_the_committed_page_is_current():
    assert PAGE.read_text() == drawing.page(), (
        "the tables changed: python -c \"from batchflow.machine.drawing import page; print(page(), end='')\" > "
        "docs/reference/state-machine.md"
    )


@pytest.mark.parametrize(("table", "states"), [(batch.TABLE, BatchState), (run.TABLE, RunState)])
def test_every_state_has_a_row(table, states):
    assert set(table) == set(states)


def test_every_batch_state_can_be_reached():
    reached, edges = {BatchState.DRAFTED}, batch.TABLE
    while new := {target for state in reached for target in edges[state].values()} - reached:
        reached |= new
    assert reached == set(BatchState)


def test_the_ends_are_the_states_that_nothing_leads_out_of_but_a_persons_word():
    by_itself = {
        state: {target for event, target in row.items() if event is not batch.Recalled}
        for state, row in batch.TABLE.items()
    }
    assert {state for state, targets in by_itself.items() if targets <= {state}} == batch.TERMINAL


def test_only_proof_of_absence_makes_a_doubtful_batch_payable_again():
    doubtful = (BatchState.IN_DOUBT, BatchState.HELD)
    ways = {event for state in doubtful for event, target in batch.TABLE[state].items() if target is BatchState.DRAFTED}
    assert ways == {batch.Vanished}
