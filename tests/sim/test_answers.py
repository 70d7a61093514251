"""Answers: the same for the same params and seed, conforming to the schema, with believable usage."""

import json

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.sim.draw import Draw
from batchflow.sim.schemas import conforming

SCHEMA = {
    "type": "object",
    "properties": {
        "severity": {"enum": ["low", "medium", "high"]},
        "amount": {"type": "number", "minimum": 10, "maximum": 20},
        "count": {"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5},
        "when": {"type": "string", "format": "date"},
        "mail": {"type": ["string", "null"], "format": "email"},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 30, "maxLength": 40}, "minItems": 2},
        "next": {"anyOf": [{"$ref": "#/$defs/step"}, {"type": "null"}]},
        "kind": {"const": "claim"},
    },
    "required": ["severity", "amount", "count", "when", "tags", "next", "kind"],
    "additionalProperties": False,
    "$defs": {
        "step": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "then": {"anyOf": [{"$ref": "#/$defs/step"}, {"type": "null"}]}},
            "required": ["name", "then"],
            "additionalProperties": False,
        }
    },
}


@pytest.fixture
def texts(simulate, client_of):
    """The answers' texts by custom_id, and the messages."""

    def run(requests, **options):
        sim = simulate(**options)
        client = client_of(sim, default_headers={"anthropic-version": "2023-06-01"})
        batch = client.messages.batches.create(requests=requests)
        sim.clock.advance(3600)
        return {row.custom_id: row.result.message for row in client.messages.batches.results(batch.id)}

    return run


def text(message):
    return message.content[0].text


def test_an_answer_depends_on_params_and_seed_only(texts, ask):
    one = texts([{"custom_id": "a", "params": ask("water")}, {"custom_id": "b", "params": ask("fire in the barn")}])
    shuffled = dict(reversed(ask("water").items()))
    two = texts([{"custom_id": "x", "params": ask("fire in the barn")}, {"custom_id": "y", "params": shuffled}])
    assert text(one["a"]) == text(two["y"])
    assert text(one["b"]) == text(two["x"])
    other = texts([{"custom_id": "b", "params": ask("fire in the barn")}], seed=8)
    assert text(other["b"]) != text(one["b"])


def test_an_answer_cut_short_goes_on_with_more_room(texts, ask):
    short = texts([{"custom_id": "a", "params": ask(max_tokens=3)}])["a"]
    whole = texts([{"custom_id": "a", "params": ask(max_tokens=300)}])["a"]
    assert (short.stop_reason, short.usage.output_tokens, whole.stop_reason) == ("max_tokens", 3, "end_turn")
    assert text(whole).startswith(text(short))


def test_a_stop_sequence_stops(texts, ask):
    message = texts([{"custom_id": "a", "params": ask(stop_sequences=[":"])}])["a"]
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", ":")


def test_an_answer_conforms_to_the_schema(texts, ask):
    output = {"format": {"type": "json_schema", "schema": SCHEMA}}
    requests = [
        {"custom_id": str(n), "params": ask(f"claim {n} of the flood", output_config=output, max_tokens=4000)}
        for n in range(20)
    ]
    for message in texts(requests).values():
        jsonschema_rs.validate(SCHEMA, json.loads(text(message)))


@settings(max_examples=200, deadline=None)
@given(st.integers(min_value=0))
def test_conforming_values_conform(seed):
    jsonschema_rs.validate(SCHEMA, conforming(SCHEMA, Draw(seed), ["water", "fire"]))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "number", "maximum": -5},
        {"type": "number", "exclusiveMinimum": 3},
        {"type": "number", "multipleOf": 2},
        {"type": "array", "maxItems": 0},
        {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True},
        {"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"a": {"type": "boolean"}}}]},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "items": {"type": "string"}},
        {"properties": {"a": {}}},
        {"type": "string", "format": "uuid"},
        {"type": "string", "format": "date-time"},
        {},
    ],
)
def test_odd_schemas_conform_too(schema):
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    for seed in range(20):
        assert validator.is_valid(conforming(schema, Draw(seed), []))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "array", "minItems": 900, "items": {"$ref": "#"}},
    ],
)
def test_a_schema_without_end_is_answered_all_the_same(schema):
    assert len(json.dumps(conforming(schema, Draw(1), ["a"]))) < 1_000_000


def test_a_forced_tool_is_called(texts, ask):
    tool = {"name": "file", "input_schema": SCHEMA}
    message = texts([{"custom_id": "a", "params": ask(tools=[tool], tool_choice={"type": "tool", "name": "file"})}])[
        "a"
    ]
    assert (message.stop_reason, message.content[0].type, message.content[0].name) == ("tool_use", "tool_use", "file")
    jsonschema_rs.validate(SCHEMA, message.content[0].input)


def test_answers_can_be_written_by_the_test(texts, ask):
    message = texts(
        [{"custom_id": "a", "params": ask("water")}], answer=lambda params: params["messages"][0]["content"]
    )
    assert text(message["a"]) == "water"


def cached_system(ttl):
    control = {"type": "ephemeral", "ttl": ttl}
    return [{"type": "text", "text": "a long rule book. " * 2000, "cache_control": control}]


def test_the_cache_is_written_once_and_read_by_the_rest(texts, ask):
    requests = [{"custom_id": str(n), "params": ask(f"claim {n}", system=cached_system("1h"))} for n in range(20)]
    usages = [message.usage for message in texts(requests, cache_misses=0.0).values()]
    writers = [usage for usage in usages if usage.cache_creation_input_tokens]
    assert len(writers) == 1
    assert writers[0].cache_creation.ephemeral_1h_input_tokens == writers[0].cache_creation_input_tokens == 9000
    assert sum(usage.cache_read_input_tokens == 9000 for usage in usages) == 19
    assert all(usage.input_tokens < 50 for usage in usages)


def test_some_rows_miss_the_cache_and_short_prefixes_are_not_cached(texts, ask):
    requests = [{"custom_id": str(n), "params": ask(f"claim {n}", system=cached_system("5m"))} for n in range(100)]
    usages = [message.usage for message in texts(requests, cache_misses=0.3).values()]
    assert 10 < sum(usage.cache_creation.ephemeral_5m_input_tokens > 0 for usage in usages) < 60
    short = [{"type": "text", "text": "short", "cache_control": {"type": "ephemeral"}}]
    usage = texts([{"custom_id": "a", "params": ask(system=short)}])["a"].usage
    assert (usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (0, 0)


def test_a_cache_entry_dies_with_its_time(simulate, client_of, ask):
    sim = simulate(cache_misses=0.0)
    client = client_of(sim)
    request = ask(system=cached_system("5m"))
    reads = []
    for pause in (0, 299, 301):
        sim.clock.advance(pause)
        reads.append(client.messages.create(**request).usage.cache_read_input_tokens)
    assert reads == [0, 9000, 0]


def test_more_text_is_more_tokens(texts, ask):
    messages = texts([{"custom_id": "a", "params": ask("x" * 4000)}, {"custom_id": "b", "params": ask("x" * 400)}])
    assert messages["a"].usage.input_tokens > 1000 > messages["b"].usage.input_tokens > 100


def test_a_draw_is_reproducible():
    assert [Draw(5).below(100) for _ in range(3)] == [Draw(5).below(100)] * 3
    assert msgspec.json.encode(conforming(SCHEMA, Draw(1), ["a"])) == msgspec.json.encode(
        conforming(SCHEMA, Draw(1), ["a"])
    )
