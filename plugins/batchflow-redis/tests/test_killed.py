"""`batchflow run` of a stream, killed with SIGKILL at the calls it makes to Redis.

Whatever the call, and whether Redis had done it or not: the next process goes on, every entry is paid for and delivered
once, and at the end the group holds nothing.
"""

import json
import os
import signal
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

    job = JOB

    def __init__(self, forge, folder, store, ferry):
        self._forge = forge
        self.folder, self.store, self.ferry = folder, store, ferry
        folder.mkdir()
        store.look.flushall()
        for n in range(ENTRIES):
            store.look.xadd("queue", {"text": f"claim {n}"})

    def run(self, call=None, *, done=False):
        """Types `batchflow run` in a process that may be killed at one of its calls to Redis."""
        self.ferry.watch(call, done=done)
        with (self.folder / "log").open("a") as log:
            env = os.environ | {"no_proxy": "*"}
            process = self._forge.held("run", "--json", folder=self.folder, env=env, stdout=log, stderr=log)
            self.ferry.pid.set_result(process.pid)
            with process:
                process.let_go()
        ended = process.returncode
        assert ended in {0, -signal.SIGKILL}, (self.folder / "log").read_text()
        return ended == -signal.SIGKILL

    def tell(self, name, *deaths):
        with Simulator(seed=1, speed=100.0, duration=1.0) as sim:
            (self.folder / "batchflow.yaml").write_text(self.job.format(sim=sim.url, name=name, url=self.ferry.url))
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
def story(forge, tmp_path, store, ferry):
    numbers = iter(range(1000))
    return lambda: Story(forge, tmp_path / f"story-{next(numbers)}", store, ferry)


def worst(calls):
    """Committed and not acknowledged; handed over and never received."""
    last = max(n for n, call in enumerate(calls, 1) if call == "XACK")
    first = min(n for n, call in enumerate(calls, 1) if call == "XREADGROUP" and n > 4)
    return [(last, False), (first, True)]


def test_a_run_that_is_killed_around_an_acknowledgement_or_with_entries_in_hand_pays_for_nothing_twice(story, ferry):
    quiet = story()
    assert quiet.tell("quiet")[1] == quiet.expected
    for place in worst(ferry.calls):
        one = story()
        assert one.tell("fast", place) == ([True], one.expected)


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_other_call_that_moves_entries_pays_for_every_entry_once(story, ferry):
    quiet = story()
    quiet.tell("quiet")
    wrong, told = {}, worst(ferry.calls)
    moving = [n for n, call in enumerate(ferry.calls, 1) if call in {"XREADGROUP", "XAUTOCLAIM", "XACK"}]
    for place in [(n, done) for n in moving for done in (False, True) if (n, done) not in told]:
        one = story()
        if (came := one.tell("any", place)) != ([True], one.expected):
            wrong[place] = (list(ferry.calls), came)
    assert wrong == {}


ANSWERS = """
      - {{type: redis, url: "{url}", stream: answers}}
      - {{type: redis, url: "{url}", prefix: "claim:", fields: {{text: text, key: key}}}}
"""


class Answers(Story):
    """The same, with sinks in Redis, too."""

    job = JOB.replace(
        "    sinks: [{{type: jsonl, path: out.jsonl}}]\n",
        "    sinks:\n      - {{type: jsonl, path: out.jsonl}}" + ANSWERS,
    )

    def outcome(self, sim):
        look = self.store.look
        return super().outcome(sim) | {
            "stream": Counter(row["key"] for _, row in look.xrange("answers")),
            "hashes": Counter(look.hget(name, "key") for name in look.scan_iter("claim:*")),
            "markers": list(look.scan_iter("*:batchflow:*")),
        }

    @property
    def expected(self):
        once = super().expected
        return once | {"stream": once["delivered"], "hashes": once["delivered"], "markers": []}


def test_a_run_that_is_killed_while_it_writes_to_redis_leaves_every_answer_there_once(forge, tmp_path, store, ferry):
    quiet = Answers(forge, tmp_path / "quiet", store, ferry)
    assert quiet.tell("quiet")[1] == quiet.expected
    places = [(n + 1, True) for n, call in enumerate(ferry.calls) if call == "XADD"]
    one = Answers(forge, tmp_path / "one", store, ferry)
    assert one.tell("added", places[0]) == ([True], one.expected)
