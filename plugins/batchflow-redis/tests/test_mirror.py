"""The mirror: what services that watch Redis see of a run, and what a run sees of the mirror, which is nothing."""

import gc
import json
import logging
import os
import subprocess
import sys

import pytest
from batchflow_redis.mirror import EXPIRE, PREFIX, WHERE, Mirror, Outbox

from batchflow.extend.facade import Plugins
from batchflow.plugin import Event
from batchflow.sim import Simulator

JOB = """
version: 1
provider: {{base_url: "{sim}", api_key: "sk-mirror"}}
jobs:
  claims:
    source: {{type: jsonl, path: in.jsonl, key: id}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ id }}}}"}}
    batch: {{max_requests: 4}}
    sinks: [{{type: jsonl, path: out.jsonl}}]
"""


def event(kind, subject="b1", **data):
    return Event(id="e1", run="r1", at=1000.5, kind=kind, subject=subject, text="some words", data=data)


def told(settings, *events):
    """Tells a mirror of events and lets it go, as an app that ends does."""
    mirror = Mirror(settings)
    for one in events:
        mirror.on_event(one, "triage")
    del mirror
    gc.collect()


def typed(folder, **settings):
    """Types `batchflow run` on six records."""
    lines = (json.dumps({"id": f"k{n}"}) for n in range(6))
    (folder / "in.jsonl").write_text("\n".join(lines))
    with Simulator(seed=1, speed=100.0, duration=1.0) as sim:
        (folder / "batchflow.yaml").write_text(JOB.format(sim=sim.url))
        words = [sys.executable, "-m", "batchflow", "run", "--json"]
        done = subprocess.run(
            words,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"no_proxy": "*"} | settings,
        )
        assert done.returncode == 0, done.stderr
        return done


def test_a_run_and_its_batches_can_be_followed_in_redis(store, tmp_path):
    typed(tmp_path, **{WHERE: store.url, PREFIX: "flow:"})
    [run] = [store.look.hgetall(name) for name in store.look.scan_iter("flow:run:*")]
    batches = [store.look.hgetall(name) for name in store.look.scan_iter("flow:batch:*")]
    assert (run["job"], run["status"]) == ("claims", "done")
    assert len(batches) >= 2
    assert {(one["job"], one["run"], one["status"]) for one in batches} == {("claims", run["run"], "delivered")}
    assert sum(int(one["good"]) for one in batches) == sum(int(one["count"]) for one in batches) == 6
    assert all(float(one["drafted_at"]) <= float(one["submitted_at"]) <= float(one["delivered_at"]) for one in batches)
    assert all(0 < store.look.ttl(name) <= 7 * 24 * 3600 for name in store.look.scan_iter("flow:*"))


def test_a_redis_that_is_not_there_costs_a_run_nothing_but_a_line(tmp_path):
    done = typed(tmp_path, **{WHERE: "redis://127.0.0.1:1/0"})
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 6
    assert "Traceback" not in done.stderr


def test_without_the_variable_nothing_is_told(store):
    told({}, event("batch.drafted"))
    assert store.look.dbsize() == 0


@pytest.mark.parametrize(
    ("kind", "status"),
    [("batch.submitted", "running"), ("batch.resolved.running", "running"), ("batch.ruled.failed", "failed"), ("batch.held", "held")],
)  # fmt: skip
def test_an_event_gives_a_batch_its_status(store, kind, status):
    told({WHERE: store.url}, event(kind, count=3))
    found = store.look.hgetall("batch:b1")
    assert found["status"] == status
    assert found["count"] == "3"
    assert found["text"] == "some words"


def test_a_remark_leaves_the_status_as_it_is(store):
    told({WHERE: store.url}, event("batch.ended"), event("batch.odd_lines"))
    assert store.look.hget("batch:b1", "status") == "ended"


def test_events_about_something_else_make_no_hash(store):
    told({WHERE: store.url}, event("provider.failing", ""), event("part.delivered"), event("records.duplicate", ""))
    assert store.look.keys() == []


def test_a_hash_expires_when_the_variable_says(store):
    told({WHERE: store.url, EXPIRE: "60"}, event("batch.drafted"))
    assert 0 < store.look.ttl("batch:b1") <= 60


@pytest.mark.parametrize("settings", [{WHERE: "http://nowhere:s3cret@x/"}, {WHERE: "redis://x", EXPIRE: "soon"}])
def test_a_setting_that_cannot_be_read_is_told_once_and_hurts_nobody(caplog, settings):
    told(settings, event("batch.drafted"), event("batch.ended"))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "batchflow-redis mirrors nothing: BATCHFLOW_REDIS_MIRROR" in caplog.text
    assert "s3cret" not in caplog.text


def test_what_was_told_while_redis_was_away_is_told_later(store, caplog):
    store.end()
    outbox = Outbox({WHERE: store.url})
    with caplog.at_level(logging.WARNING):
        outbox.put(event("batch.drafted"), "triage")
        while "goes on trying" not in caplog.text:
            pass
    store.begin()
    outbox.put(event("batch.ended"), "triage")
    while store.look.hget("batch:b1", "status") != "ended":
        pass
    outbox.end()
    assert "drafted_at" in store.look.hgetall("batch:b1")
    assert caplog.text.count("goes on trying") == 1


def test_an_outbox_that_is_full_forgets_the_oldest_and_says_so(store, caplog):
    store.end()
    outbox = Outbox({WHERE: store.url}, room=2)
    outbox.put(event("batch.drafted"), "triage")
    while "goes on trying" not in caplog.text:
        pass
    for n in range(5):
        outbox.put(event("batch.ended", f"b{n}"), "triage")
    store.begin()
    while "forgot" not in caplog.text:
        pass
    outbox.end()
    assert sorted(store.look.keys()) == ["batch:b3", "batch:b4"]
    assert "forgot 4 events" in caplog.text


def test_an_app_finds_it_by_its_entry_point_and_can_do_without():
    assert not Plugins().broken
    assert [denied.by.plugin for denied in Plugins(deny=["redis-mirror"]).denied] == ["redis-mirror"]
