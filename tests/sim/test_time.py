"""Virtual time: the life of a batch is worked out from the clock."""

from datetime import timedelta

import anthropic
import httpx2
import pytest

from batchflow.sim import FaultPlan, SimClock, Simulator

HOUR, DAY = 3600, 86_400


def test_counts_are_zero_until_the_end(sim, client, requests_of):
    batch = client.messages.batches.create(requests=requests_of(10))
    sim.clock.advance(1000)
    counts = client.messages.batches.retrieve(batch.id).request_counts
    assert (counts.processing, counts.succeeded) == (10, 0)


def test_a_batch_too_long_for_its_day_expires_in_part(simulate, client_of, requests_of):
    sim = simulate("create:1:duration,seconds=172800")
    client = client_of(sim)
    batch = client.messages.batches.create(requests=requests_of(200))
    sim.clock.advance(DAY - 1)
    assert client.messages.batches.retrieve(batch.id).processing_status == "in_progress"
    sim.clock.advance(1)
    batch = client.messages.batches.retrieve(batch.id)
    counts = batch.request_counts
    assert batch.ended_at - batch.created_at == timedelta(days=1)
    assert 60 < counts.expired < 140
    assert counts.expired + counts.succeeded == 200
    kinds = [row.result.type for row in client.messages.batches.results(batch.id)]
    assert kinds.count("expired") == counts.expired


def test_results_are_archived_after_29_days(sim, client, requests_of):
    batch = client.messages.batches.create(requests=requests_of(1))
    sim.clock.advance(29 * DAY - 1)
    assert client.messages.batches.retrieve(batch.id).archived_at is None
    sim.clock.advance(1)
    old = client.messages.batches.retrieve(batch.id)
    assert old.archived_at - old.created_at == timedelta(days=29)
    assert old.results_url is None
    with pytest.raises(anthropic.NotFoundError, match="no available results"):
        client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=httpx2.Response)
    assert [found.id for found in client.messages.batches.list()] == [batch.id]


def test_cancel_ends_after_a_delay_with_a_mix(sim, client, requests_of):
    batch = client.messages.batches.create(requests=requests_of(200))
    sim.clock.advance(600)
    shown = client.messages.batches.cancel(batch.id)
    assert (shown.processing_status, shown.request_counts.processing) == ("canceling", 200)
    assert shown.cancel_initiated_at is not None
    assert client.messages.batches.cancel(batch.id).cancel_initiated_at == shown.cancel_initiated_at
    sim.clock.advance(25)
    batch = client.messages.batches.retrieve(batch.id)
    counts = batch.request_counts
    assert batch.processing_status == "ended"
    assert counts.canceled > 20
    assert counts.succeeded > 20
    assert counts.canceled + counts.succeeded == 200
    assert sum(1 for _ in client.messages.batches.results(batch.id)) == 200


def test_cancel_after_the_end_changes_nothing(sim, client, requests_of):
    batch = client.messages.batches.create(requests=requests_of(1))
    sim.clock.advance(HOUR)
    shown = client.messages.batches.cancel(batch.id)
    assert (shown.processing_status, shown.cancel_initiated_at) == ("ended", None)


def test_cancel_can_come_too_late_for_every_row(simulate, client_of, requests_of):
    sim = simulate("cancel:1:spare")
    client = client_of(sim)
    batch = client.messages.batches.create(requests=requests_of(5))
    client.messages.batches.cancel(batch.id)
    sim.clock.advance(25)
    assert client.messages.batches.retrieve(batch.id).request_counts.succeeded == 5


def test_the_clock_runs_at_its_speed_and_never_back():
    ticks = iter([0.0, 1.0, 2.0, 2.0, 3.0])
    clock = SimClock(speed=3600, start=1000.0, real=lambda: next(ticks))
    assert clock.now() == 1000.0 + HOUR
    clock.run_at(0)
    assert clock.now() == 1000.0 + 2 * HOUR
    with pytest.raises(ValueError, match="only moves forward"):
        clock.advance(-1)


def test_the_clock_is_moved_over_http_too(sim, client, requests_of):
    batch = client.messages.batches.create(requests=requests_of(1))
    assert httpx2.post(f"{sim.url}/_sim/advance", json={"seconds": DAY}, trust_env=False).status_code == 200
    assert client.messages.batches.retrieve(batch.id).processing_status == "ended"


def test_everything_can_be_finished_at_once(simulate, client_of, requests_of):
    sim = simulate("create:3:never_ends")
    client = client_of(sim)
    ids = [client.messages.batches.create(requests=requests_of(1)).id for _ in range(4)]
    sim.finish()
    states = [client.messages.batches.retrieve(identity).processing_status for identity in ids]
    assert states == ["ended", "ended", "in_progress", "ended"]
    assert httpx2.post(f"{sim.url}/_sim/finish", trust_env=False).json() == {"ok": True}


def test_the_server_clock_may_be_off(requests_of, client_of):
    with Simulator(speed=0, start=1_800_000_000, faults=FaultPlan.parse(["clock:3600"])) as sim:
        raw = client_of(sim).messages.batches.with_raw_response.create(requests=requests_of(1))
        assert raw.parse().created_at.timestamp() == 1_800_003_600
        assert raw.headers["date"] == "Fri, 15 Jan 2027 09:00:00 GMT"


def test_virtual_hours_pass_by_themselves(requests_of, client_of):
    with Simulator(speed=1e9, duration=1.0) as sim:
        client = client_of(sim)
        batch = client.messages.batches.create(requests=requests_of(1))
        assert client.messages.batches.retrieve(batch.id).processing_status == "ended"
