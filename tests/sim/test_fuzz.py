"""Whatever a request holds, its row comes back: as an answer or as an error, never as a crash of the server."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.sim import FaultPlan, SimClock
from batchflow.sim.batches import Account
from batchflow.sim.draw import Draw
from batchflow.sim.faults import Hits
from batchflow.sim.schemas import conforming
from batchflow.sim.validate import VERSION, Context, Request
from batchflow.sim.world import Settings, World

KEYS = st.sampled_from(
    [
        "type",
        "text",
        "role",
        "content",
        "source",
        "url",
        "data",
        "schema",
        "format",
        "json_schema",
        "properties",
        "items",
        "enum",
        "anyOf",
        "$ref",
        "$defs",
        "required",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "multipleOf",
        "name",
        "input_schema",
        "cache_control",
        "ttl",
        "tool_choice",
    ]
)
WORDS = st.sampled_from(
    [
        "text",
        "image",
        "document",
        "tool_result",
        "json_schema",
        "object",
        "array",
        "string",
        "integer",
        "number",
        "#/$defs/a",
        "a",
    ]
)
LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | WORDS
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": JSON}), max_size=3
)
PARAMS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["claude-haiku-4-5", "claude-opus-5-5", "none"]) | JSON,
        "max_tokens": st.integers(1, 500) | JSON,
        "messages": st.just([{"role": "user", "content": "hello there"}]) | MESSAGES | JSON,
    },
    optional={
        "system": JSON,
        "tools": st.lists(st.fixed_dictionaries({"name": WORDS, "input_schema": JSON})) | JSON,
        "tool_choice": st.just({"type": "any"}) | JSON,
        "thinking": JSON,
        "output_config": st.fixed_dictionaries(
            {"format": st.fixed_dictionaries({"type": st.just("json_schema"), "schema": JSON})}
        )
        | JSON,
        "cache_control": JSON,
        "stop_sequences": JSON,
    },
)


SCHEMAS = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "enum",
            "const",
            "anyOf",
            "allOf",
            "$ref",
            "required",
            "properties",
            "items",
            "prefixItems",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "uniqueItems",
            "format",
        ]
    ),
    st.integers(-(10**12), 10**12) | JSON,
)
TYPED = st.builds(
    lambda kind, rules: {**rules, "type": kind},
    st.sampled_from(["object", "array", "string", "integer", "number"]),
    SCHEMAS,
)


@settings(max_examples=500, deadline=None)
@given(SCHEMAS | TYPED, st.integers(0, 100))
def test_any_schema_is_answered(schema, seed):
    assert len(json.dumps(conforming(schema, Draw(seed), ["water"]))) < 1_000_000


@settings(max_examples=300, deadline=None)
@given(PARAMS | JSON, st.sampled_from([[], ["row::max_tokens"]]))
def test_every_row_comes_back(params, flags):
    world = World(Settings(), SimClock(speed=0), FaultPlan.parse(flags))
    request = Request(custom_id="a", params=msgspec.Raw(json.dumps(params).encode()))
    account = Account("o", "w")
    batch = world.create(account, Context(version=VERSION), [request], Hits())
    world.clock.advance(3600)
    world.now()
    row = json.loads(next(world.judge.lines(batch)))
    assert row["result"]["type"] in {"succeeded", "errored"}
