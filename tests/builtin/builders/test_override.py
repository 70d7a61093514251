"""`override`: one record's own wishes, merged over its request."""

import json
from typing import Any

import pytest

from batchflow.builtin.builders.template import template
from batchflow.model.record import Record
from batchflow.ports.builder import BuildError


def built(wishes: Any, **request: Any) -> dict[str, Any]:
    builder = template(model="m", max_tokens=10, prompt="{{ text }}", override="wishes", **request)
    return json.loads(builder.build(Record("k", {"text": "hi", "wishes": wishes}, "x:1")))


@pytest.mark.parametrize("wishes", [None, "", "  ", {}, "{}"])
def test_a_record_without_wishes_gets_the_jobs_request(wishes: object) -> None:
    assert built(wishes) == {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("wishes", [{"max_tokens": 20}, '{"max_tokens": 20}'])
def test_wishes_may_be_an_object_or_json_text(wishes: object) -> None:
    assert built(wishes)["max_tokens"] == 20


def test_maps_merge_deeply_and_everything_else_replaces() -> None:
    request = {
        "output_config": {"effort": "low", "format": {"type": "a", "schema": {"x": 1}}},
        "stop_sequences": ["a", "b"],
        "metadata": {"user_id": "u"},
    }
    merged = built(
        {"output_config": {"format": {"schema": {"y": 2}}}, "stop_sequences": ["c"], "metadata": None}, **request
    )
    assert merged["output_config"] == {"effort": "low", "format": {"type": "a", "schema": {"x": 1, "y": 2}}}
    assert merged["stop_sequences"] == ["c"]
    assert merged["metadata"] is None


def test_a_record_that_lacks_the_column_has_no_wishes() -> None:
    builder = template(model="m", max_tokens=10, prompt="hi", override="wishes")
    assert json.loads(builder.build(Record("k", {}, "x:1")))["max_tokens"] == 10


@pytest.mark.parametrize(
    "wishes", ["{", "[1]", [1], [], 0, 7, "max_tokens=3", '"\ud800"', {"a": "\ud800"}, {"a": object()}]
)
def test_wishes_that_are_no_object_refuse_the_record(wishes: object) -> None:
    with pytest.raises(BuildError, match="override: column 'wishes'"):
        built(wishes)


def test_wishes_leave_the_next_record_alone() -> None:
    builder = template(model="m", max_tokens=10, prompt="hi", override="o", metadata={"a": {"b": 1}})
    builder.build(Record("k", {"o": {"metadata": {"a": {"b": 2}}}}, "x:1"))
    assert json.loads(builder.build(Record("k", {}, "x:2")))["metadata"] == {"a": {"b": 1}}
