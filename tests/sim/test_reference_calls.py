"""The calls that the SDKs' reference pages show and their own tests make: fixed names, no set-up, loose and strict."""

import anthropic
import pytest
from anthropic.types import messages as types
from pydantic import TypeAdapter

from batchflow.sim import Simulator

KEY = "my-anthropic-api-key"
EXAMPLE = "message_batch_id"
SHAPES = ["canceled", "errored", "expired", "succeeded"]

FULL = {
    "model": "claude-opus-5-5",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "Hello, world"}],
    "cache_control": {"type": "ephemeral", "ttl": "5m"},
    "container": {"id": "id", "skills": [{"skill_id": "pdf", "type": "anthropic", "version": "latest"}]},
    "inference_geo": "anywhere",
    "metadata": {"user_id": "somebody"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"foo": "bar"}}},
    "speed": "standard",
    "stream": False,
    "stop_sequences": ["string"],
    "system": [{"type": "text", "text": "Today is Monday.", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "adaptive", "display": "summarized"},
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "tools": [
        {"name": "name", "input_schema": {"type": "object", "properties": {"unit": "bar"}, "required": ["location"]}}
    ],
}
BETA = {
    **FULL,
    "fallbacks": "default",
    "mcp_servers": [{"name": "name", "type": "url", "url": "url"}],
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 0}}]},
}


@pytest.fixture(scope="module")
def sim():
    with Simulator(speed=3600, duration=60) as sim:
        yield sim


@pytest.fixture(params=[False, True], ids=["loose", "strict"])
def client(request, sim):
    strict = {"_strict_response_validation": request.param}
    with anthropic.Anthropic(base_url=sim.url, api_key=KEY, max_retries=0, **strict) as client:
        yield client


@pytest.fixture(
    params=[(False, None), (True, None), (True, anthropic.DefaultAioHttpClient)], ids=["loose", "strict", "aiohttp"]
)
async def async_client(request, sim):
    strict, http = request.param
    async with anthropic.AsyncAnthropic(
        base_url=sim.url,
        api_key=KEY,
        max_retries=0,
        http_client=http() if http else None,
        _strict_response_validation=strict,
    ) as client:
        yield client


@pytest.fixture(params=["messages", "beta"])
def batches(request, client):
    return (client.messages if request.param == "messages" else client.beta.messages).batches


@pytest.fixture(params=["messages", "beta"])
def async_batches(request, async_client):
    return (async_client.messages if request.param == "messages" else async_client.beta.messages).batches


def _request(params):
    return [{"custom_id": "my-custom-id-1", "params": params}]


PLAIN = _request({"model": "claude-opus-5-5", "max_tokens": 1024, "messages": FULL["messages"]})


def test_a_plain_create_and_one_with_everything(client):
    plain = client.messages.batches.create(requests=PLAIN)
    full = client.messages.batches.create(
        requests=_request(FULL), user_profile_id="profile", workspace_id="wrkspc_011CZkZaBF1tNoB5wlCeusgy"
    )
    beta = client.beta.messages.batches.create(requests=_request(BETA), betas=["message-batches-2024-09-24"])
    assert {batch.request_counts.processing for batch in (plain, full, beta)} == {1}
    assert len({plain.id, full.id, beta.id}) == 3


def test_a_create_with_everything_comes_to_a_result(sim, client):
    full = client.messages.batches.create(requests=_request(FULL))
    beta = client.beta.messages.batches.create(requests=_request(BETA), betas=["mcp-client-2025-11-20"])
    sim.finish()
    for resource, batch in ((client.messages.batches, full), (client.beta.messages.batches, beta)):
        assert [row.custom_id for row in resource.results(batch.id)] == ["my-custom-id-1"]


def test_the_example_batch_has_ended_with_a_row_of_every_shape(batches):
    batch = batches.retrieve(EXAMPLE)
    counts = batch.request_counts
    assert (batch.id, batch.processing_status) == (EXAMPLE, "ended")
    assert (counts.processing, counts.succeeded, counts.errored, counts.canceled, counts.expired) == (0, 3, 2, 1, 1)
    rows = list(batches.results(EXAMPLE))
    assert len({row.custom_id for row in rows}) == 7
    assert sorted({row.result.type for row in rows}) == SHAPES


def test_its_rows_satisfy_the_sdks_own_models(client):
    model = TypeAdapter(types.MessageBatchIndividualResponse)
    with client.messages.batches.with_streaming_response.results(EXAMPLE) as reply:
        lines = b"".join(reply.iter_bytes()).splitlines()
    rows = [model.validate_json(line) for line in lines]
    assert sorted({row.result.type for row in rows}) == SHAPES
    assert {row.result.message.stop_reason for row in rows if row.result.type == "succeeded"} == {
        "end_turn", "max_tokens", "refusal",
    }  # fmt: skip


def test_raw_and_streaming_replies_of_every_call(batches):
    for raw in (batches.with_raw_response,):
        assert raw.create(requests=PLAIN).parse().processing_status == "in_progress"
        assert raw.retrieve(EXAMPLE).parse().id == EXAMPLE
        assert raw.cancel(EXAMPLE).parse().id == EXAMPLE
        assert raw.delete(EXAMPLE).parse().type == "message_batch_deleted"
        assert raw.list(limit=1).parse().data
        assert len(list(raw.results(EXAMPLE).parse())) == 7
    streaming = batches.with_streaming_response
    for call in (streaming.retrieve, streaming.cancel, streaming.delete):
        with call(EXAMPLE) as reply:
            assert reply.parse().id == EXAMPLE
    with streaming.list() as reply:
        assert EXAMPLE not in {batch.id for batch in reply.parse().data}
    with streaming.results(EXAMPLE) as reply:
        assert len(list(reply.parse())) == 7


async def test_the_same_calls_with_the_async_client(async_batches):
    assert (await async_batches.create(requests=PLAIN)).request_counts.processing == 1
    assert (await async_batches.retrieve(EXAMPLE)).processing_status == "ended"
    assert (await async_batches.cancel(EXAMPLE)).id == EXAMPLE
    assert (await async_batches.delete(EXAMPLE)).id == EXAMPLE
    assert (await async_batches.list(after_id="after_id", before_id="before_id", limit=1)).data == []
    rows = [row async for row in await async_batches.results(EXAMPLE)]
    assert sorted({row.result.type for row in rows}) == SHAPES
    raw = await async_batches.with_raw_response.retrieve(EXAMPLE)
    assert (await raw.parse()).id == EXAMPLE
    async with async_batches.with_streaming_response.results(EXAMPLE) as reply:
        assert len([row async for row in await reply.parse()]) == 7


def test_the_example_survives_everything_and_is_counted_nowhere(sim, client):
    before = sim.stats()["requests_accepted"], sim.stats()["rows_billed"], len(sim.batches)
    first = client.messages.batches.retrieve(EXAMPLE)
    for _ in range(3):
        assert client.messages.batches.delete(EXAMPLE).id == EXAMPLE
        canceled = client.messages.batches.cancel(EXAMPLE)
        assert (canceled.processing_status, canceled.cancel_initiated_at) == ("ended", None)
    sim.clock.advance(60 * 86_400)
    again = client.messages.batches.retrieve(EXAMPLE)
    assert (again.request_counts, again.archived_at) == (first.request_counts, None)
    assert EXAMPLE not in {batch.id for batch in client.messages.batches.list(limit=1000)}
    assert (sim.stats()["requests_accepted"], sim.stats()["rows_billed"], len(sim.batches)) == before


def test_only_a_good_key_sees_the_example():
    with (
        Simulator(speed=0, keys={"good": "wrkspc_1"}) as sim,
        anthropic.Anthropic(base_url=sim.url, api_key="good", max_retries=0) as good,
        anthropic.Anthropic(base_url=sim.url, api_key="bad", max_retries=0) as bad,
    ):
        assert good.messages.batches.retrieve(EXAMPLE).id == EXAMPLE
        with pytest.raises(anthropic.AuthenticationError):
            bad.messages.batches.retrieve(EXAMPLE)


def test_a_walk_from_an_unknown_cursor_ends_at_once(client):
    client.messages.batches.create(requests=PLAIN)
    for where in ({"after_id": "after_id"}, {"before_id": "before_id"}, {"after_id": "a", "before_id": "b"}):
        page = client.messages.batches.list(limit=1, **where)
        assert (page.data, page.has_more, page.first_id, page.last_id) == ([], False, None, None)


def test_a_path_nobody_knows_is_the_apis_404(client):
    with pytest.raises(anthropic.NotFoundError):
        client.get("/_stainless_unknown_path", cast_to=object)
