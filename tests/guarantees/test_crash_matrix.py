"""`batchflow run`, killed with SIGKILL at every step it takes: once, and again while the next process recovers.

The steps are those that an undisturbed run was seen to take (tests/support/places.py), so a commit that somebody adds to
the engine is killed at from then on. Whatever the moment, the next process goes on, every request is paid for once, and
what stands in every sink is what a run that nobody disturbed puts there.
"""

import random
from collections import Counter
from itertools import count

import pytest
from crashes import FAULTS, LANES, RECORDS, Matrix, Story, lane_of, undisturbed

from batchflow.sim import FaultPlan

PAIRS = 60
FEW = 10


@pytest.fixture(scope="module")
def story(forge, sim, tmp_path_factory):
    """Begins a story on a server that has forgotten everything before."""
    numbers = count()
    folder = tmp_path_factory.mktemp("crash")

    def begin():
        sim.reset(FaultPlan.parse(FAULTS))
        return Story(forge, sim, folder / str(next(numbers)))

    return begin


@pytest.fixture(scope="module")
def quiet(story):
    return undisturbed(story)


@pytest.fixture
def matrix(story, quiet):
    _, outcome = quiet
    return Matrix(story, outcome)


def test_an_undisturbed_run_is_what_is_claimed_of_all_the_others(story):
    quiet = story()
    assert not quiet.run()
    points, outcome = quiet.points(), quiet.outcome()
    books = outcome["books"]
    assert outcome["state"] == "done"
    assert outcome["balanced"]
    assert books["read"] == len(RECORDS)
    assert outcome["asked"] == books["rows"] + books["retried"] == 14 + 2
    for sink in ("jsonl", "csv", "sqlite", "dead"):
        assert set(outcome[sink].values()) == {1}
    good, dead = {row[0] for row in outcome["jsonl"]}, {row[0] for row in outcome["dead"]}
    assert good == {row[0] for row in outcome["csv"]} == {row[0] for row in outcome["sqlite"]}
    assert len(good | dead) == len(good) + len(dead) == books["read"] - books["duplicate"]
    assert list(quiet.folder.glob(".*.batchflow")) == []
    for kind in (
        "commit (",
        "object",
        "writing .out.csv",
        "writing dead.jsonl",
        "rows of a table",
        "create",
        "list",
        "results",
    ):
        assert any(kind in name for name in points), kind


def test_killed_at_a_few_steps_it_goes_on_and_pays_once(matrix, quiet):
    points, _ = quiet
    dice = random.Random(3)
    calls = [point for name, point in points.items() if name.startswith("create call #1")]
    for point in [*calls, *dice.sample(list(points.values()), FEW)]:
        matrix.tell(point)
    matrix.check()


@pytest.mark.slow
@pytest.mark.parametrize("lane", range(LANES))
def test_killed_at_any_step_and_again_during_the_recovery_it_goes_on_and_pays_once(story, quiet, lane, request):
    points, outcome = quiet
    once, twice = Matrix(story, outcome), Matrix(story, outcome)
    every = request.config.getoption("--all-kills")
    dice = random.Random(lane)
    firsts = lane_of(points, lane)
    again = Counter(dice.choices(range(len(firsts)), k=-(-PAIRS // LANES)))
    for number, first in enumerate(firsts):
        recovery = list(once.tell(first).values())
        for second in recovery if every else dice.choices(recovery, k=again[number]):
            twice.tell(first, second)
    once.check()
    twice.check(noise=0.5)  # two recoveries take the same steps far less surely than two undisturbed runs
    assert once.told > 10
    assert twice.told >= PAIRS // LANES
