"""Every endpoint, called by the official SDK, sync and async."""

import anthropic
import httpx2
import pytest

from batchflow.sim import Simulator

DAY = 86_400


def test_a_batch_from_creation_to_deletion(sim, client, requests_of):
    batch = client.messages.batches.create(requests=requests_of(3))
    assert (batch.processing_status, batch.request_counts.processing, batch.results_url) == ("in_progress", 3, None)
    assert (batch.expires_at - batch.created_at).total_seconds() == DAY

    sim.clock.advance(3600)
    batch = client.messages.batches.retrieve(batch.id)
    assert (batch.processing_status, batch.request_counts.succeeded) == ("ended", 3)
    assert batch.results_url == f"{sim.url}/v1/messages/batches/{batch.id}/results"
    rows = {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}
    assert set(rows) == {"r-0", "r-1", "r-2"}
    assert rows["r-0"].message.usage.service_tier == "batch"
    assert rows["r-0"].message.model == "claude-haiku-4-5-20251001"

    deleted = client.messages.batches.delete(batch.id)
    assert (deleted.id, deleted.type) == (batch.id, "message_batch_deleted")
    with pytest.raises(anthropic.NotFoundError, match=f"Message Batch {batch.id} not found"):
        client.messages.batches.retrieve(batch.id)


@pytest.mark.parametrize("make_http", [anthropic.DefaultAsyncHttpxClient, anthropic.DefaultAioHttpClient])
async def test_the_same_with_the_async_client(make_http, requests_of):
    async with (
        Simulator(speed=0) as sim,
        make_http() as http,
        anthropic.AsyncAnthropic(base_url=sim.url, api_key="k", max_retries=0, http_client=http) as client,
    ):
        batch = await client.messages.batches.create(requests=requests_of(3))
        other = await client.beta.messages.batches.create(requests=requests_of(1), betas=["x-2026-01-01"])
        canceled = await client.messages.batches.cancel(other.id)
        assert canceled.processing_status == "canceling"
        sim.clock.advance(3600)
        assert (await client.messages.batches.retrieve(batch.id)).processing_status == "ended"
        assert [found.id async for found in client.messages.batches.list()] == [other.id, batch.id]
        rows = [row async for row in await client.messages.batches.results(batch.id)]
        assert {row.result.type for row in rows} == {"succeeded"}
        assert (await client.messages.batches.delete(batch.id)).id == batch.id
        assert (await client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=_hello())).id
        assert (await client.messages.count_tokens(model="claude-haiku-4-5", messages=_hello())).input_tokens > 0
        assert (await client.models.retrieve("claude-haiku-4-5")).max_tokens == 64_000
        assert len([model async for model in client.models.list(limit=3)]) > 10


def _hello():
    return [{"role": "user", "content": "hello"}]


def test_wire_shape_has_every_key_and_headers(sim, requests_of):
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    with httpx2.Client(base_url=sim.url, headers=headers, trust_env=False) as http:
        reply = http.post("/v1/messages/batches?beta=true", json={"requests": requests_of(1)})
        assert reply.status_code == 200
        assert set(reply.json()) == {
            "id", "type", "processing_status", "request_counts", "created_at", "expires_at", "ended_at",
            "cancel_initiated_at", "archived_at", "results_url",
        }  # fmt: skip
        assert reply.headers["request-id"].startswith("req_")
        assert reply.headers["anthropic-organization-id"]
        assert reply.headers["anthropic-workspace-id"].startswith("wrkspc_")
        assert reply.headers["anthropic-ratelimit-requests-limit"] == "20000"
        reply = http.get(f"/v1/messages/batches/{reply.json()['id']}")
        assert reply.headers["retry-after"] == "10"

        sim.clock.advance(3600)
        results = http.get(f"/v1/messages/batches/{reply.json()['id']}/results")
        assert results.headers["content-type"] == "application/x-jsonl"
        assert results.headers["transfer-encoding"] == "chunked"
        assert "retry-after" not in http.get(f"/v1/messages/batches/{reply.json()['id']}").headers


def test_results_url_is_built_from_the_host_header(sim, requests_of):
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21", "host": "proxy.example:99"}
    with httpx2.Client(base_url=sim.url, headers=headers, trust_env=False) as http:
        made = http.post("/v1/messages/batches", json={"requests": requests_of(1)}).json()
        sim.clock.advance(3600)
        shown = http.get(f"/v1/messages/batches/{made['id']}").json()
        assert shown["results_url"].startswith("http://proxy.example:99/v1/")


def test_results_are_not_there_before_the_end(sim, client, requests_of):
    batch = client.messages.batches.create(requests=requests_of(1))
    with pytest.raises(anthropic.AnthropicError, match=r"No `?results_url"):
        client.messages.batches.results(batch.id)
    with pytest.raises(anthropic.NotFoundError, match="has no available results"):
        client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=httpx2.Response)
    with pytest.raises(anthropic.BadRequestError, match="In progress batches cannot be deleted"):
        client.messages.batches.delete(batch.id)


def test_listing_goes_both_ways(sim, client, requests_of):
    ids = []
    for _ in range(5):
        ids.insert(0, client.messages.batches.create(requests=requests_of(1)).id)
        sim.clock.advance(1)
    assert [batch.id for batch in client.messages.batches.list(limit=2)] == ids
    page = client.messages.batches.list(limit=2, after_id=ids[1])
    assert ([batch.id for batch in page.data], page.has_more) == (ids[2:4], True)
    page = client.messages.batches.list(limit=2, before_id=ids[3])
    assert ([batch.id for batch in page.data], page.has_more) == (ids[1:3], True)
    page = client.messages.batches.list(limit=2, before_id=ids[1])
    assert ([batch.id for batch in page.data], page.has_more) == (ids[:1], False)
    with pytest.raises(anthropic.BadRequestError, match="less than or equal to 1000"):
        client.messages.batches.list(limit=1001)


def test_an_empty_listing_has_null_ids(client):
    page = client.messages.batches.list()
    assert (page.data, page.first_id, page.last_id, page.has_more) == ([], None, None, False)


def test_a_batch_is_seen_from_its_own_workspace_only(sim, client, client_of, requests_of):
    batch = client.messages.batches.create(requests=requests_of(1))
    stranger = client_of(sim, "key-b")
    assert stranger.messages.batches.list().data == []
    for call in (
        stranger.messages.batches.retrieve,
        stranger.messages.batches.cancel,
        stranger.messages.batches.delete,
    ):
        with pytest.raises(anthropic.NotFoundError):
            call(batch.id)


def test_keys_of_one_workspace_share_it_and_unknown_keys_are_refused(simulate, client_of, requests_of):
    sim = simulate(keys={"old": "wrkspc_1", "new": "wrkspc_1", "other": "org_2/wrkspc_2"})
    batch = client_of(sim, "old").messages.batches.create(requests=requests_of(1))
    assert client_of(sim, "new").messages.batches.retrieve(batch.id).id == batch.id
    with pytest.raises(anthropic.NotFoundError):
        client_of(sim, "other").messages.batches.retrieve(batch.id)
    raw = client_of(sim, "other").messages.batches.with_raw_response.list()
    assert raw.headers["anthropic-organization-id"] == "org_2"
    with pytest.raises(anthropic.AuthenticationError, match="API key is invalid"):
        client_of(sim, "revoked").messages.batches.list()


def test_the_workspace_header_selects_the_workspace(sim, client, requests_of):
    batch = client.messages.batches.create(requests=requests_of(1), workspace_id="wrkspc_x")
    assert client.messages.batches.list().data == []
    assert [found.id for found in client.messages.batches.list(workspace_id="wrkspc_x")] == [batch.id]


def test_no_key_no_version_no_such_path(sim):
    with httpx2.Client(base_url=sim.url, trust_env=False) as http:
        reply = http.get("/v1/messages/batches")
        assert (reply.status_code, reply.json()["error"]["type"]) == (401, "authentication_error")
        assert reply.json()["request_id"] == reply.headers["request-id"]
        assert http.get("/v1/messages/batches", headers={"x-api-key": "k"}).status_code == 400
        headers = {"x-api-key": "k", "anthropic-version": "1999-01-01"}
        assert http.get("/v1/messages/batches", headers=headers).status_code == 400
        assert http.get("/v2/nothing").json()["error"]["type"] == "not_found_error"
        assert http.put("/v1/messages/batches").status_code == 405


def test_the_synchronous_endpoints(client, ask):
    message = client.messages.create(**ask())
    assert (message.stop_reason, message.usage.service_tier) == ("end_turn", "standard")
    assert client.messages.count_tokens(model="claude-haiku-4-5", messages=ask()["messages"]).input_tokens > 10
    with pytest.raises(anthropic.NotFoundError, match="model: claude-none"):
        client.messages.create(**{**ask(), "model": "claude-none"})
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("claude-none")
    model = client.models.retrieve("claude-opus-5-5")
    assert model.capabilities.batch.supported
    assert model.lifecycle == "active"
    warmed = client.messages.create(**ask(max_tokens=0))
    assert (warmed.content, warmed.stop_reason, warmed.usage.output_tokens) == ([], "max_tokens", 0)
