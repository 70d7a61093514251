"""What is refused at once and what only in the results, in the API's words."""

import anthropic
import httpx2
import pytest

from batchflow.sim import Simulator

GOOD = {"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"requests": []}, "requests: List should have at least 1 item after validation, not 0"),
        ({}, "requests: Field required"),
        ({"requests": [{"params": GOOD}]}, "requests.0.custom_id: Field required"),
        ({"requests": [{"custom_id": "a"}]}, "requests.0.params: Field required"),
        ({"requests": [{"custom_id": 1, "params": GOOD}]}, "requests.0.custom_id: Input should be a valid string"),
        (
            {"requests": [{"custom_id": "a" * 65, "params": GOOD}]},
            "requests.0.custom_id: String should have at most 64 characters",
        ),
        (
            {"requests": [{"custom_id": "a", "params": GOOD}, {"custom_id": "a:b", "params": GOOD}]},
            "requests.1.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'",
        ),
        (
            {"requests": [{"custom_id": "dup", "params": GOOD}] * 2},
            "requests: custom_id's must be unique within a batch. Duplicate custom_id found: dup",
        ),
    ],
)
def test_a_bad_envelope_refuses_the_whole_call(sim, body, message):
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    reply = httpx2.post(f"{sim.url}/v1/messages/batches", json=body, headers=headers, trust_env=False)
    assert reply.status_code == 400
    assert reply.json()["error"] == {"type": "invalid_request_error", "message": message}
    assert sim.stats()["batches_created"] == 0


def test_broken_json_and_compressed_bodies(sim):
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    url = f"{sim.url}/v1/messages/batches"
    reply = httpx2.post(url, content=b'{"requests": [', headers=headers, trust_env=False)
    assert "The request body is not valid JSON: " in reply.json()["error"]["message"]
    zipped = httpx2.post(url, content=b"x", headers={**headers, "content-encoding": "gzip"}, trust_env=False)
    assert zipped.status_code == 400


def test_too_many_requests(simulate, client_of, requests_of):
    client = client_of(simulate("create::max_requests,limit=3"))
    assert client.messages.batches.create(requests=requests_of(3)).id
    with pytest.raises(anthropic.BadRequestError, match="at most 3 items after validation, not 4"):
        client.messages.batches.create(requests=requests_of(4))


@pytest.mark.parametrize(("html", "kind"), [(False, "request_too_large"), (True, None)])
def test_too_large_a_body(simulate, client_of, requests_of, html, kind):
    sim = simulate(max_bytes=2000, html_413=html)
    with pytest.raises(anthropic.APIStatusError) as caught:
        client_of(sim).messages.batches.create(requests=requests_of(100))
    assert (caught.value.status_code, caught.value.type) == (413, kind)
    assert sim.stats()["batches_created"] == 0


ROWS = [
    ({"model": "claude-none"}, "not_found_error", "model: claude-none"),
    ({"messages": None}, "invalid_request_error", "messages: Field required"),
    ({"stream": True}, "invalid_request_error", '"stream=True" is not supported in the Message Batches API'),
    ({"max_tokens": 0}, "invalid_request_error", "max_tokens: must be greater than or equal to 1"),
    (
        {"max_tokens": 9_999_999},
        "invalid_request_error",
        "9999999 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5-20251001",
    ),
    ({"colour": "red"}, "invalid_request_error", "colour: Extra inputs are not permitted"),
    ({"speed": "fast"}, "invalid_request_error", "speed"),
    ({"temperature": 1.0}, "invalid_request_error", "temperature"),
    ({"top_k": 1}, "invalid_request_error", "top_k"),
    ({"messages": []}, "invalid_request_error", "messages: at least one message is required"),
    ({"messages": [{"role": "user", "content": ""}]}, "invalid_request_error", "non-empty content"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_request_error", "messages.0.role"),
    ({"model": "claude-opus-4-8", "thinking": {"type": "enabled"}}, "invalid_request_error", '"thinking.type.enabled"'),
    ({"thinking": {"type": "adaptive"}}, "invalid_request_error", '"thinking.type.adaptive" is not supported'),
    ({"model": "claude-opus-5-5", "tool_choice": {"type": "any"}}, "invalid_request_error", "tool_choice"),
    ({"inference_geo": "us"}, "invalid_request_error", "inference_geo"),
    (
        {"model": "claude-opus-5", "messages": [*GOOD["messages"], {"role": "assistant", "content": "{"}]},
        "invalid_request_error",
        "prefill",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "http://a.invalid/x"}}]}]},
        "invalid_request_error",
        "Unable to download the file. Please verify the URL and try again.",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}] * 5}]},
        "invalid_request_error",
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    ({"output_config": {"format": {"type": "json_schema"}}}, "invalid_request_error", "schema: Field required"),
]  # fmt: skip


def test_bad_params_fail_their_own_row_only(sim, client):
    requests = [{"custom_id": "good", "params": GOOD}]
    for number, (change, _, _) in enumerate(ROWS):
        params = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
        requests.append({"custom_id": str(number), "params": params})
    batch = client.messages.batches.create(requests=requests)
    sim.clock.advance(3600)
    rows = {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}
    assert rows.pop("good").type == "succeeded"
    for number, (_, kind, message) in enumerate(ROWS):
        error = rows[str(number)].error
        assert (error.type, error.error.type, error.request_id) == ("error", kind, None)
        assert message in error.error.message
    assert client.messages.batches.retrieve(batch.id).request_counts.errored == len(ROWS)


def test_sampling_is_allowed_under_the_old_version(sim, client_of):
    client = client_of(sim, default_headers={"anthropic-version": "2023-06-01"})
    batch = client.messages.batches.create(requests=[{"custom_id": "a", "params": {**GOOD, "temperature": 0.5}}])
    sim.clock.advance(3600)
    assert next(iter(client.messages.batches.results(batch.id))).result.type == "succeeded"


def test_extended_output_needs_its_beta(sim, client):
    request = {"custom_id": "a", "params": {**GOOD, "model": "claude-opus-5", "max_tokens": 250_000}}
    plain = client.messages.batches.create(requests=[request])
    beta = client.beta.messages.batches.create(requests=[request], betas=["output-300k-2026-03-24"])
    sim.clock.advance(3600)
    assert client.messages.batches.retrieve(plain.id).request_counts.errored == 1
    assert client.messages.batches.retrieve(beta.id).request_counts.succeeded == 1


def test_schema_limits_are_kept_when_asked_for(client_of):
    schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": 3}}}
    params = {**GOOD, "output_config": {"format": {"type": "json_schema", "schema": schema}}}
    with Simulator(speed=0, strict_schemas=True) as sim:
        with pytest.raises(anthropic.BadRequestError, match="'additionalProperties' must be explicitly set to false"):
            client_of(sim).messages.create(**params)
        schema["additionalProperties"] = False
        with pytest.raises(anthropic.BadRequestError, match="property 'minLength' is not supported"):
            client_of(sim).messages.create(**params)
