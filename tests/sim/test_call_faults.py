"""Each fault that hits a call: what the caller sees, and what the server has done meanwhile."""

import signal
import socket
import subprocess
import sys

import anthropic
import httpx2
import pytest

from batchflow.sim import Simulator


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (402, anthropic.PaymentRequiredError, "billing_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (408, anthropic.RequestTimeoutError, "timeout_error"),
        (409, anthropic.ConflictError, "conflict_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.InternalServerError, "api_error"),
        (504, anthropic.InternalServerError, "timeout_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_a_status_before_the_work_leaves_nothing_behind(simulate, client_of, requests_of, status, error, kind):
    sim = simulate(f"create:1:status,status={status}")
    client = client_of(sim)
    with pytest.raises(error) as caught:
        client.messages.batches.create(requests=requests_of(2))
    assert (caught.value.status_code, caught.value.type) == (status, kind)
    assert caught.value.request_id.startswith("req_")
    assert sim.stats()["requests_accepted"] == 0
    assert client.messages.batches.create(requests=requests_of(2)).id


def test_a_status_can_be_dressed(simulate, client_of):
    flag = (
        "list::status,status=429,retry_after=86400,error_code=ramp_limit_exceeded,message=slow down,should_retry=false"
    )
    with pytest.raises(anthropic.RateLimitError, match="slow down") as caught:
        client_of(simulate(flag), max_retries=2).messages.batches.list()
    headers = caught.value.response.headers
    assert (caught.value.error_code, headers["retry-after"]) == ("ramp_limit_exceeded", "86400")
    assert headers["x-should-retry"] == "false"


@pytest.mark.parametrize("body", ["html", "text", "empty"])
def test_an_error_need_not_be_json(simulate, client_of, body):
    with pytest.raises(anthropic.APIStatusError) as caught:
        client_of(simulate(f"list:1:status,status=503,body={body}")).messages.batches.list()
    assert caught.value.type is None
    assert ("<html>" in caught.value.response.text) == (body == "html")


@pytest.mark.parametrize(
    ("fault", "status", "code", "text"),
    [
        ("credit", 400, None, "Your credit balance is too low to access the Anthropic API"),
        ("spend_cap", 429, "enforced_spend_limit_reached", "spend limit"),
        ("workspace_limit", 400, None, "specified workspace API usage limits"),
        ("on_hold", 400, "organization_on_hold", "on hold"),
        ("revoked", 401, None, "API key is invalid"),
    ],
)
def test_money_shaped_failures(simulate, client_of, fault, status, code, text):
    with pytest.raises(anthropic.APIStatusError, match=text) as caught:
        client_of(simulate(f"all::{fault}")).messages.batches.list()
    assert (caught.value.status_code, caught.value.error_code) == (status, code)
    assert "retry-after" not in caught.value.response.headers


def test_a_reset_before_the_work(simulate, client_of, requests_of):
    sim = simulate("create:1:reset_before")
    with pytest.raises(anthropic.APIConnectionError):
        client_of(sim).messages.batches.create(requests=requests_of(1))
    assert sim.stats()["batches_created"] == 0


def test_a_reset_is_a_real_one(simulate):
    port = int(simulate("list:1:reset_after").url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(
            b"GET /v1/messages/batches HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\n\r\n"
        )
        with pytest.raises(ConnectionResetError):
            wire.recv(1000)


def test_a_reset_in_the_middle_of_the_body(simulate, client_of, requests_of):
    sim = simulate("create:1:reset_before,at_byte=500000")
    with pytest.raises(anthropic.APIConnectionError):
        client_of(sim).messages.batches.create(requests=requests_of(20_000))
    assert sim.stats()["batches_created"] == 0


@pytest.mark.parametrize("fault", ["reset_after", "status_after,status=504", "status_after,status=529,body=html"])
def test_a_lost_reply_leaves_a_batch_behind(simulate, client_of, requests_of, fault):
    sim = simulate(f"create:1:{fault}")
    client = client_of(sim)
    with pytest.raises(anthropic.APIError):
        client.messages.batches.create(requests=requests_of(3))
    assert sim.stats()["requests_accepted"] == 3
    assert len(client.messages.batches.list().data) == 1


def test_the_plain_sdk_pays_twice_when_the_reply_is_lost(simulate, client_of, requests_of):
    sim = simulate("create:1:reset_after")
    client_of(sim, max_retries=2).messages.batches.create(requests=requests_of(3))
    assert (sim.stats()["creates"], sim.stats()["requests_accepted"]) == (2, 6)


@pytest.mark.parametrize(
    "endpoint", ["retrieve", "list", "results", "cancel", "delete", "messages", "count_tokens", "models"]
)
@pytest.mark.parametrize("fault", ["reset_after", "status,status=529"])
def test_every_endpoint_can_fail(simulate, client_of, requests_of, ask, endpoint, fault):
    sim = simulate(f"{endpoint}:1:{fault}")
    client = client_of(sim)
    batch = client.messages.batches.create(requests=requests_of(1))
    sim.clock.advance(3600)
    calls = {
        "retrieve": lambda: client.messages.batches.retrieve(batch.id),
        "list": client.messages.batches.list,
        "results": lambda: list(client.messages.batches.results(batch.id)),
        "cancel": lambda: client.messages.batches.cancel(batch.id),
        "delete": lambda: client.messages.batches.delete(batch.id),
        "messages": lambda: client.messages.create(**ask()),
        "count_tokens": lambda: client.messages.count_tokens(model="claude-haiku-4-5", messages=ask()["messages"]),
        "models": client.models.list,
    }
    with pytest.raises(anthropic.APIError):
        calls[endpoint]()
    assert sim.stats()["faults"] == {fault.partition(",")[0]: 1}


@pytest.mark.parametrize(("when", "batches"), [("before", 1), ("after", 1)])
def test_a_slow_reply_outlasts_the_client(simulate, client_of, requests_of, when, batches):
    sim = simulate(f"create:1:slow,seconds=600,when={when}")
    with pytest.raises(anthropic.APITimeoutError):
        client_of(sim, timeout=0.1).messages.batches.create(requests=requests_of(1))
    assert client_of(sim).messages.batches.list() is not None
    assert sim.stats()["batches_created"] == batches


def test_a_slow_reply_comes(simulate, client_of):
    assert client_of(simulate("list:1:slow,seconds=0.01")).messages.batches.list().data == []


def test_a_redirect(simulate, client_of, requests_of):
    sim = simulate("create:1:redirect,value=/v1/messages/batches")
    batch = client_of(sim).messages.batches.create(requests=requests_of(1))
    assert sim.stats()["creates"] == 2
    assert [found.id for found in sim.batches] == [batch.id]


def test_a_batch_may_come_to_light_late(simulate, client_of, requests_of):
    sim = simulate("create:1:late,seconds=900")
    client = client_of(sim)
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.batches.create(requests=requests_of(2))
    sim.clock.advance(899)
    assert client.messages.batches.list().data == []
    sim.clock.advance(1)
    assert [batch.request_counts.processing for batch in client.messages.batches.list()] == [2]


def test_a_listing_may_leave_a_batch_out_for_a_while(simulate, client_of, requests_of):
    sim = simulate("create:1:unlisted,seconds=60", "list:3:omit")
    client = client_of(sim)
    batch = client.messages.batches.create(requests=requests_of(1))
    assert client.messages.batches.list().data == []
    assert client.messages.batches.retrieve(batch.id).id == batch.id
    sim.clock.advance(60)
    assert len(client.messages.batches.list().data) == 1
    assert client.messages.batches.list().data == []
    assert len(client.messages.batches.list().data) == 1


def test_a_listing_may_leave_a_batch_out_for_ever(simulate, client_of, requests_of):
    sim = simulate("create:1:unlisted")
    client = client_of(sim)
    client.messages.batches.create(requests=requests_of(1))
    sim.clock.advance(1e7)
    assert client.messages.batches.list().data == []


def test_a_fresh_batch_may_not_be_found(simulate, client_of, requests_of):
    sim = simulate("retrieve::fresh_404,limit=2", "create:2:hidden,seconds=10")
    client = client_of(sim)
    first = client.messages.batches.create(requests=requests_of(1))
    for _ in range(2):
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve(first.id)
    assert client.messages.batches.retrieve(first.id).id == first.id
    second = client.messages.batches.create(requests=requests_of(1))
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.cancel(second.id)
    sim.clock.advance(10)
    assert client.messages.batches.cancel(second.id).id == second.id


def test_a_batch_may_never_end(simulate, client_of, requests_of):
    sim = simulate("create:1:never_ends")
    client = client_of(sim)
    batch = client.messages.batches.create(requests=requests_of(1))
    sim.clock.advance(1e6)
    assert client.messages.batches.retrieve(batch.id).processing_status == "in_progress"


def test_somebody_else_may_make_batches_that_look_alike(simulate, client_of, requests_of):
    sim = simulate("create:1:lookalike,rows=10")
    client = client_of(sim)
    batch = client.messages.batches.create(requests=requests_of(3))
    listed = client.messages.batches.list().data
    assert [found.request_counts.processing for found in listed] == [3] * 11
    assert {found.created_at for found in listed} == {batch.created_at}
    assert sim.stats()["requests_accepted"] == 3
    sim.clock.advance(3600)
    other = next(found.id for found in listed if found.id != batch.id)
    assert {row.custom_id for row in client.messages.batches.results(other)} == {"other-0", "other-1", "other-2"}


def test_what_a_batch_looks_like_may_be_bent(simulate, client_of, requests_of):
    sim = simulate(
        "retrieve:1:unknown_status,value=validating",
        "retrieve:2:gradual_counts",
        "retrieve:3:lying_counts",
        "retrieve:4:results_url,value=relative",
        "retrieve:5:results_url,value=http://evil.example",
        "retrieve:6:results_url,value=absent",
    )
    client = client_of(sim)
    batch = client.messages.batches.create(requests=requests_of(100))
    sim.clock.advance(700)
    assert client.messages.batches.retrieve(batch.id).processing_status == "validating"
    counts = client.messages.batches.retrieve(batch.id).request_counts
    assert counts.processing + counts.succeeded == 100
    assert counts.succeeded > 10
    counts = client.messages.batches.retrieve(batch.id).request_counts
    assert (counts.succeeded, counts.errored) == (50, 100)
    sim.clock.advance(3600)
    path = f"/v1/messages/batches/{batch.id}/results"
    urls = [client.messages.batches.retrieve(batch.id).results_url for _ in range(4)]
    assert urls == [path, f"http://evil.example{path}", None, sim.url + path]


def test_nulls_and_request_ids_may_be_left_out(simulate, client_of, requests_of):
    sim = simulate("all::omit_nulls", "all::no_request_id", "retrieve:1:status,status=500")
    client = client_of(sim)
    raw = client.messages.batches.with_raw_response.create(requests=requests_of(1))
    assert "results_url" not in raw.http_response.json()
    assert "request-id" not in raw.headers
    with pytest.raises(anthropic.InternalServerError) as caught:
        client.messages.batches.retrieve("x")
    assert caught.value.response.json()["request_id"] is None


def test_the_queue_may_be_full(simulate, client_of, requests_of):
    sim = simulate("create::queue_limit,limit=4")
    client = client_of(sim)
    client.messages.batches.create(requests=requests_of(3))
    with pytest.raises(anthropic.RateLimitError, match="processing queue"):
        client.messages.batches.create(requests=requests_of(2))
    sim.clock.advance(3600)
    client.messages.batches.create(requests=requests_of(2))


@pytest.mark.parametrize(
    ("flag", "batches"),
    [("create:1:kill,when=before", 0), ("create:1:kill,at_byte=10", 0), ("create:1:kill,when=after", 1)],
)
def test_a_process_can_be_killed_at_a_chosen_point(simulate, client_of, requests_of, flag, batches):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim:
        sim = simulate(f"{flag},pid={victim.pid}")
        with pytest.raises(anthropic.APIConnectionError):
            client_of(sim).messages.batches.create(requests=requests_of(5))
        assert victim.wait() == -signal.SIGKILL
        assert sim.stats()["batches_created"] == batches


def test_a_process_can_be_killed_in_the_middle_of_a_download(client_of, requests_of):
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim,
        Simulator(speed=0) as sim,
    ):
        client = client_of(sim)
        batch = client.messages.batches.create(requests=requests_of(50))
        sim.clock.advance(3600)
        plan = {"rules": [{"on": "results", "fault": "kill", "pid": victim.pid, "at_byte": 1000}]}
        assert httpx2.post(f"{sim.url}/_sim/faults", json=plan, trust_env=False).status_code == 200
        with pytest.raises(httpx2.TransportError):
            list(client.messages.batches.results(batch.id))
        assert victim.wait() == -signal.SIGKILL
