"""`batchflow run`, killed with SIGKILL at every step it takes: once, and again while the next process recovers.

The steps are those that an undisturbed run was seen to take (tests/support/places.py), so a commit that somebody adds to
the engine is killed at from then on. Whatever the moment, the next process goes on, every request is paid for once, and
what stands in every sink is what a run that nobody disturbed puts there.
"""

import random
import zlib
from itertools import count

import pytest
from crashes import FAULTS, RECORDS, Forge, Story

from batchflow.sim import FaultPlan, Simulator

LANES = 8
"""The points are dealt to so many tests, to be run side by side."""
PAIRS = 60
RUNS = 3
"""Undisturbed runs that are looked at: how often one polls differs, and only what all of them did is surely done again."""
FEW = 10
NOISE = 0.05
"""A process that polls less often than those before it never comes to some points: to no more than this share of them."""


@pytest.fixture(scope="module")
def forge():
    forge = Forge()
    yield forge
    forge.close()


@pytest.fixture(scope="module")
def sim():
    with Simulator(speed=6000.0, duration=30.0, seed=7) as sim:
        yield sim


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
def undisturbed(story):
    """Gives the points that every undisturbed run passes, and what comes of it."""
    passed, outcomes = [], []
    for _ in range(RUNS):
        quiet = story()
        assert not quiet.run()
        passed.append(quiet.points())
        outcomes.append(quiet.outcome())
    assert all(outcome == outcomes[0] for outcome in outcomes)
    every = set.intersection(*map(set, passed))
    return {name: point for name, point in passed[0].items() if name in every}, outcomes[0]


class Matrix:
    """Tells stories of processes that die, and holds each against one in which nobody does."""

    def __init__(self, story, expected):
        self._story = story
        self._expected = expected
        self.told = 0
        self.missed = []
        self.wrong = {}

    def tell(self, *points):
        """Lets a process die at each point, and one more end the work; gives the points that the last one passed."""
        one = self._story()
        died = [one.run(point) for point in points]
        if died[-1]:
            assert not one.run()
        passed = one.points()
        self.told += 1
        names = " | ".join(point.name for point in points)
        if not all(died):
            self.missed.append(names)
        if (found := one.outcome()) != self._expected:
            self.wrong[names] = {
                what: (self._expected[what], found[what]) for what in found if found[what] != self._expected[what]
            }
        return passed

    def check(self, noise=NOISE):
        assert self.wrong == {}
        assert len(self.missed) <= max(1, self.told * noise), self.missed


@pytest.fixture
def matrix(story, undisturbed):
    _, outcome = undisturbed
    return Matrix(story, outcome)


def lane_of(points, lane):
    """Deals by name, for each process that runs tests has looked at undisturbed runs of its own."""
    return [point for name, point in points.items() if zlib.crc32(name.encode()) % LANES == lane]


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


def test_killed_at_a_few_steps_it_goes_on_and_pays_once(matrix, undisturbed):
    points, _ = undisturbed
    dice = random.Random(3)
    calls = [point for name, point in points.items() if name.startswith("create call #1")]
    for point in [*calls, *dice.sample(list(points.values()), FEW)]:
        matrix.tell(point)
    matrix.check()


@pytest.mark.slow
@pytest.mark.parametrize("lane", range(LANES))
def test_killed_at_any_step_it_goes_on_and_pays_once(matrix, undisturbed, lane):
    points, _ = undisturbed
    for point in lane_of(points, lane):
        matrix.tell(point)
    matrix.check()
    assert matrix.told > 10


@pytest.mark.slow
@pytest.mark.parametrize("lane", range(LANES))
def test_killed_again_during_the_recovery_it_goes_on_and_pays_once(matrix, undisturbed, lane, request):
    points, _ = undisturbed
    every = request.config.getoption("--all-kills")
    dice = random.Random(lane)
    firsts = lane_of(points, lane)
    for first in firsts if every else dice.choices(firsts, k=-(-PAIRS // LANES)):
        recovery = list(matrix.tell(first).values())
        for second in recovery if every else [dice.choice(recovery)]:
            matrix.tell(first, second)
    matrix.check(noise=0.25)  # two recoveries take the same steps less surely than two undisturbed runs
