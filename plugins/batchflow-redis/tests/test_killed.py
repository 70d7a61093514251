"""`batchflow run` of a stream, killed with SIGKILL at the calls it makes to Redis.

Whatever the call, and whether Redis had done it or not: the next process goes on, every entry is paid for and delivered
once, and at the end the group holds nothing.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from batchflow.sim import Simulator

ENTRIES = 20
JOB = """
version: 1
provider: {{base_url: "{sim}", api_key: "sk-{name}"}}
jobs:
  claims:
    source: {{type: redis, url: "{url}", stream: queue}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ text }}}}"}}
    batch: {{max_requests: 8}}
    submit: {{grace: 0.2s}}
    repeat: always
    sinks: [{{type: jsonl, path: out.jsonl}}]
"""


class Story:
    """A queue, a folder with a job, and the processes that work on them one after the other."""

    def __init__(self, folder, store, ferry):
        self.folder, self.store, self.ferry = folder, store, ferry
        folder.mkdir()
        store.look.flushall()
        for n in range(ENTRIES):
            store.look.xadd("queue", {"text": f"claim {n}"})

    def run(self, call=None, *, done=False):
        """Types `batchflow run` in a process that may be killed at one of its calls to Redis."""
        self.ferry.watch(call, done=done)
        with (self.folder / "log").open("a") as log:
            words = [sys.executable, "-m", "batchflow", "run", "--json"]
            process = subprocess.Popen(words, cwd=self.folder, stdout=log, stderr=log, env=os.environ | {"no_proxy": "*"})
            self.ferry.pid.set_result(process.pid)
            ended = process.wait()
        assert ended in {0, -signal.SIGKILL}, (self.folder / "log").read_text()
        return ended == -signal.SIGKILL

    def tell(self, name, *deaths):
        with Simulator(seed=1, speed=100.0, duration=1.0) as sim:
            (self.folder / "batchflow.yaml").write_text(JOB.format(sim=sim.url, name=name, url=self.ferry.url))
            died = [self.run(call, done=done) for call, done in deaths]
            while self.run():
                pass
            return died, self.outcome(sim)

    def outcome(self, sim):
        lines = map(json.loads, (self.folder / "out.jsonl").read_text().splitlines())
        return {
            "billed": sim.stats()["rows_billed"],
            "delivered": Counter(line["key"] for line in lines),
            "held": self.store.held(),
            "consumers": self.store.consumers(),
        }

    @property
    def expected(self):
        keys = [id for id, _ in self.store.look.xrange("queue")]
        return {"billed": ENTRIES, "delivered": Counter(keys), "held": [], "consumers": {}}


@pytest.fixture
def story(tmp_path, store, ferry):
    numbers = iter(range(1000))
    return lambda: Story(tmp_path / f"story-{next(numbers)}", store, ferry)


def places(ferry, *names):
    """The calls of these kinds that an undisturbed run makes, each before it arrives and with its work done."""
    return [(n + 1, done) for n, call in enumerate(ferry.calls) if call in names for done in (False, True)]


def test_a_run_that_is_killed_between_its_commit_and_the_acknowledgement_pays_for_nothing_twice(story, ferry):
    quiet = story()
    assert quiet.tell("quiet")[1] == quiet.expected
    for place in places(ferry, "XACK")[-2:]:
        one = story()
        assert one.tell("last", place) == ([True], one.expected)


def test_a_run_that_is_killed_with_entries_in_hand_gets_them_again(story, ferry):
    quiet = story()
    quiet.tell("quiet")
    for place in places(ferry, "XREADGROUP")[1:3]:
        one = story()
        assert one.tell("hand", place) == ([True], one.expected)


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_call_pays_for_every_entry_once(story, ferry):
    quiet = story()
    quiet.tell("quiet")
    wrong = {}
    for place in [(n + 1, done) for n in range(len(ferry.calls)) for done in (False, True)]:
        one = story()
        if (came := one.tell("any", place)) != ([True], one.expected):
            wrong[place] = (list(ferry.calls), came)
    assert wrong == {}
