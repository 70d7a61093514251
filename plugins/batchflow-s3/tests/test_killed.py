"""`batchflow run` with an S3 sink, killed with SIGKILL at every call it makes to the bucket.

Whatever the call, and whether the server had done it or not: the next process goes on, every request is paid for once,
and the bucket holds what an undisturbed run leaves there, `_SUCCESS` and no half upload.
"""

import json
import os
import signal
from collections import Counter
from itertools import count

import pytest
from gallows import Gallows, Sentence
from servers import KEYS

from batchflow.sim import Simulator

ROWS, LARGE = 24, range(8, 12)
JOB = """
version: 1
provider: {{base_url: "{sim}", api_key: "sk-killed"}}
jobs:
  claims:
    source: {{type: jsonl, path: in.jsonl, key: id, carry: [note]}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ id }}}}"}}
    batch: {{max_requests: 8}}
    submit: {{grace: 0.2s}}
    sinks:
      - {{type: s3, url: "s3://{bucket}/triage/", endpoint_url: "{s3}", path_style: true, format: {format}}}
"""


@pytest.fixture(scope="module")
def sim():
    with Simulator(seed=1, speed=100.0, duration=1.0) as sim:
        yield sim


@pytest.fixture(scope="module")
def gallows(moto):
    with Gallows(moto) as gallows:
        yield gallows


class Story:
    """One folder, one bucket, and the processes that worked on them."""

    def __init__(self, forge, folder, sim, gallows, shelf):
        self._forge = forge
        self.folder, self.gallows, self.shelf, self.sim = folder, gallows, shelf, sim
        folder.mkdir()
        job = JOB.format(sim=sim.url, s3=gallows.url, bucket=shelf.bucket, format="jsonl")
        (folder / "batchflow.yaml").write_text(job)
        # The second batch is larger than a buffer: it goes up in parts.
        notes = ("x" * 2_500_000 if n in LARGE else "short" for n in range(ROWS))
        lines = (json.dumps({"id": f"k-{n}", "note": note}) for n, note in enumerate(notes))
        (folder / "in.jsonl").write_text("\n".join(lines))

    def run(self, sentence=None, words=("run",)):
        """Types `batchflow run`, or something else, in a process that may be killed at one of its calls to the bucket."""
        self.gallows.watch(sentence)
        with (self.folder / "log").open("w") as log:
            process = self._forge.held(
                *words, "--json", folder=self.folder, env=os.environ | KEYS, stdout=log, stderr=log
            )
            self.gallows.pid = process.pid
            with process:
                process.let_go()
        ended = process.returncode
        assert ended in {0, -signal.SIGKILL}, (self.folder / "log").read_text()
        return ended

    def outcome(self):
        rows = Counter()
        for _, data in self.shelf.data("triage/"):
            lines = [json.loads(line) for line in data.splitlines()]
            rows.update((row["key"], row["word"], row["text"], len(row["carried"]["note"])) for row in lines)
        [success] = [name for name in self.shelf.names() if name.endswith("/_SUCCESS")]
        manifest = json.loads(self.shelf.get(success.replace("_SUCCESS", "_manifest.json")))
        return {
            "rows": rows,
            "objects": len(self.shelf.data("triage/")),
            "listed": [one["bytes"] for one in manifest["objects"]] == [len(data) for _, data in self.shelf.data()],
            "uploads": self.shelf.uploads(),
            "paid": self.sim.stats()["requests_accepted"],
        }


@pytest.fixture(scope="module")
def story(forge, sim, gallows, tmp_path_factory, new_shelf):
    numbers, folder = count(), tmp_path_factory.mktemp("killed")

    def begin():
        sim.reset()
        return Story(forge, folder / str(next(numbers)), sim, gallows, new_shelf())

    return begin


@pytest.fixture(scope="module")
def quiet(story, gallows):
    one = story()
    assert one.run() == 0
    return list(gallows.calls), one.outcome()


def kind(call):
    """Says what a call is about."""
    words = ("list-type", "partNumber", "uploadId", "uploads", "_manifest", "_SUCCESS")
    return " ".join([call.partition(" ")[0], *(word for word in words if word in call)])


def test_an_undisturbed_run_leaves_what_is_claimed_of_all_the_others(quiet):
    calls, outcome = quiet
    assert set(outcome["rows"].values()) == {1}
    assert {row[0] for row in outcome["rows"]} == {f"k-{n}" for n in range(ROWS)}
    assert (outcome["objects"], outcome["uploads"], outcome["paid"], outcome["listed"]) == (4, [], ROWS, True)
    assert Counter(map(kind, calls)) == {
        "GET list-type": 2, "GET uploads": 1, "GET list-type _SUCCESS": 1, "PUT": 3, "POST uploads": 1, "PUT partNumber uploadId": 2,
        "POST uploadId": 1, "PUT _manifest": 1, "PUT _SUCCESS": 1,
    }  # fmt: skip


def half_an_upload(calls):
    return max(n for n, call in enumerate(calls, 1) if "partNumber" in call), True


def an_object_and_no_receipt(calls):
    return 1 + list(map(kind, calls)).index("POST uploadId"), True


def killed(story, expected, call, done):
    one = story()
    assert one.run(Sentence(call, done)) == -signal.SIGKILL
    assert one.run() == 0
    assert one.outcome() == expected, (call, done, one.gallows.calls)


@pytest.mark.parametrize("place", [half_an_upload, an_object_and_no_receipt])
def test_killed_with_this_at_the_server_it_leaves_the_same(story, quiet, place):
    calls, expected = quiet
    killed(story, expected, *place(calls))


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True], ids=["before", "done"])
def test_killed_at_any_other_call_it_leaves_the_same(story, quiet, done):
    calls, expected = quiet
    told = half_an_upload(calls), an_object_and_no_receipt(calls)
    for call in range(1, len(calls) + 1):
        if (call, done) not in told:
            killed(story, expected, call, done)


REPLAY = ("replay", "claims", "--sink", "s3")


def test_a_replay_that_is_killed_leaves_no_word_that_all_is_there(story, quiet):
    _, expected = quiet
    one = story()
    assert one.run() == 0
    assert one.run(words=REPLAY) == 0
    calls = list(map(kind, one.gallows.calls))
    gone, first, said = (calls.index(call) for call in ("DELETE _SUCCESS", "PUT", "PUT _SUCCESS"))
    assert gone < first < said == len(calls) - 1
    assert one.outcome() == expected
    assert one.run(Sentence(first + 1, done=True), REPLAY) == -signal.SIGKILL
    assert "_SUCCESS" not in [name.rpartition("/")[2] for name in one.shelf.names()]
    assert one.run(words=REPLAY) == 0
    assert one.outcome() == expected
