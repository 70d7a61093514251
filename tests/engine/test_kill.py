"""Real processes, killed with SIGKILL at every commit of a run, in every sink, and at chosen bytes of every call.

Whatever the moment: the next process goes on, every request is paid for once, and the outputs are those of a run that
nobody disturbed.
"""

import random
from itertools import count

import msgspec
import pytest
from crashes import FAULTS, KILLED, Forge, Story

from batchflow.sim import FaultPlan, Rule, Simulator

LANES = 4
"""A whole row of kill points is dealt to so many tests, to be run side by side."""


@pytest.fixture(scope="module")
def forge():
    forge = Forge()
    yield forge
    forge.close()


@pytest.fixture(scope="module")
def sim():
    with Simulator(speed=600.0, duration=30.0, seed=7) as sim:
        yield sim


@pytest.fixture(scope="module")
def story(forge, sim, tmp_path_factory):
    """Begins a story on a server that has forgotten everything before."""
    numbers = count()
    plan = FaultPlan.parse(FAULTS)

    def begin(faults=plan):
        sim.reset(faults)
        return Story(forge, sim, tmp_path_factory.mktemp("kill") / str(next(numbers)))

    return begin


@pytest.fixture(scope="module")
def undisturbed(story):
    quiet = story()
    assert not quiet.run()
    return quiet.outcome()


def killed_at_every(story, undisturbed, how, lane):
    """Tells one story for each place in this lane; the places end where a process survives."""
    for place in count(lane + 1, LANES):
        told = story()
        if not told.run(how, place):
            return place
        assert not told.run()
        assert told.outcome() == undisturbed, (how, place)
    raise AssertionError("unreachable")


@pytest.mark.slow
@pytest.mark.parametrize("lane", range(LANES))
@pytest.mark.parametrize("how", ["before", "after"])
def test_killed_at_every_commit_it_goes_on_and_pays_once(story, undisturbed, how, lane):
    assert killed_at_every(story, undisturbed, how, lane) > 25


@pytest.mark.slow
def test_killed_in_the_middle_of_every_sinks_write_nothing_is_lost_or_doubled(story, undisturbed):
    for place in count(1):
        told = story()
        if not told.run("sink", place):
            break
        assert not told.run()
        assert told.outcome() == undisturbed, place
    assert place > 6


@pytest.mark.parametrize("place", [3, 5, 9, 14])
@pytest.mark.parametrize("how", ["before", "after"])
def test_killed_at_some_commits_it_goes_on_and_pays_once(story, undisturbed, how, place):
    told = story()
    assert told.run(how, place)
    assert not told.run()
    assert told.outcome() == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_killed_again_and_again_during_the_recovery(story, undisturbed, seed):
    dice = random.Random(seed)
    told = story()
    for _ in range(5):
        told.run(dice.choice(["before", "after", "sink"]), dice.randrange(1, 14))
    while told.run(dice.choice(["before", "after"]), dice.randrange(10, 60)):
        pass
    assert told.outcome() == undisturbed, seed


TELLING = 6
"""So many of these are told in a quick run of the tests: the calls that cost money, and one download."""
CALLS = [
    Rule(on="create", fault="kill", nth=1, when="before"),
    Rule(on="create", fault="kill", nth=1, at_byte=700),
    Rule(on="create", fault="kill", nth=1, when="after"),
    Rule(on="create", fault="kill", nth=2, when="after"),
    Rule(on="results", fault="kill", nth=1, at_byte=1500),
    Rule(on="create", fault="kill", nth=3, when="after"),
    Rule(on="list", fault="kill", nth=1, when="after"),
    Rule(on="list", fault="kill", nth=2, when="before"),
    Rule(on="retrieve", fault="kill", nth=1, when="after"),
    Rule(on="results", fault="kill", nth=1, when="before"),
    Rule(on="results", fault="kill", nth=1, at_byte=0),
    Rule(on="results", fault="kill", nth=2, when="after"),
    Rule(on="results", fault="kill", nth=3, at_byte=900),
]


def places():
    for number, rule in enumerate(CALLS):
        name = f"{rule.on}-{rule.nth}-{rule.when if rule.at_byte is None else rule.at_byte}"
        yield pytest.param(rule, id=name, marks=[pytest.mark.slow] if number >= TELLING else [])


@pytest.mark.parametrize("rule", list(places()))
def test_killed_by_the_server_in_the_middle_of_a_call(story, sim, undisturbed, rule):
    told = story()
    pid = told.start()
    sim.set_faults(FaultPlan.parse(FAULTS).plus(FaultPlan(rules=[msgspec.structs.replace(rule, pid=pid)])))
    assert told.finish(pid) == KILLED
    assert not told.run()
    assert told.outcome() == undisturbed
