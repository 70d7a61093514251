"""`batchflow run` whose S3 sink makes one object of the run, killed with SIGKILL at every call of its completion.

Whatever the call, and whether the server had done it or not: the next process comes to the same object, and leaves
neither a part nor half an upload beside it.
"""

import json
import signal
from collections import Counter
from itertools import count

import pytest
from gallows import Gallows, Sentence
from test_killed import ROWS, Story

from batchflow.sim import Simulator


class OneObject(Story):
    def __init__(self, forge, folder, sim, gallows, shelf):
        super().__init__(forge, folder, sim, gallows, shelf)
        file = folder / "batchflow.yaml"
        file.write_text(file.read_text().replace("path_style: true", "path_style: true, object_per: run"))

    def outcome(self):
        [run] = {name.split("/")[1] for name in self.shelf.names()}
        return {
            "names": [name.replace(run, "RUN") for name in self.shelf.names()],
            "keys": sorted(json.loads(line)["key"] for _, data in self.shelf.data() for line in data.splitlines()),
            "uploads": self.shelf.uploads(),
            "paid": self.sim.stats()["requests_accepted"],
        }


@pytest.fixture(scope="module")
def story(forge, moto, tmp_path_factory, new_shelf):
    numbers, folder = count(), tmp_path_factory.mktemp("killed")
    with Simulator(seed=1, speed=100.0, duration=1.0) as sim, Gallows(moto) as gallows:

        def begin():
            sim.reset()
            return OneObject(forge, folder / str(next(numbers)), sim, gallows, new_shelf())

        yield begin


@pytest.fixture(scope="module")
def quiet(story):
    one = story()
    assert one.run() == 0
    return list(one.gallows.calls), one.outcome()


def step(call):
    """Says what a call is about."""
    words = ("list-type", "partNumber", "uploadId", "uploads", "_manifest", "_SUCCESS", "_parts", "results")
    return " ".join([call.partition(" ")[0], *(word for word in words if word in call)])


def test_an_undisturbed_run_leaves_one_object_and_what_tells_of_it(quiet):
    calls, outcome = quiet
    names = [f"triage/RUN/s3/{name}" for name in ("_SUCCESS", "_manifest.json", "results.jsonl")]
    assert outcome == {"names": names, "keys": sorted(f"k-{n}" for n in range(ROWS)), "uploads": [], "paid": ROWS}
    steps = Counter(map(step, calls))
    assert steps["POST uploadId results"] == 1
    assert steps["DELETE _parts"] == sum(n for one, n in steps.items() if one in {"PUT _parts", "POST uploadId _parts"})


def killed(story, expected, call, *, done):
    one = story()
    assert one.run(Sentence(call, done)) == -signal.SIGKILL
    assert one.run() == 0
    assert one.outcome() == expected, (call, done, one.gallows.calls)


def test_killed_with_the_object_whole_and_its_parts_there_it_leaves_the_same(story, quiet):
    calls, expected = quiet
    killed(story, expected, 1 + list(map(step, calls)).index("POST uploadId results"), done=True)


@pytest.mark.slow
def test_killed_at_any_call_of_the_completion_it_leaves_the_same(story, quiet):
    """With the call's work done: before the next one arrives, the bucket is the same, and nothing else is written meanwhile."""
    calls, expected = quiet
    steps = list(map(step, calls))
    last_part = max(n for n, one in enumerate(steps, 1) if one in {"PUT _parts", "POST uploadId _parts"})
    assert len(calls) - last_part > 15
    for call in range(last_part, len(calls) + 1):
        killed(story, expected, call, done=True)
