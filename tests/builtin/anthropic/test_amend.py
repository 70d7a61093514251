"""Amending a request: the change that was asked for, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.builtin.anthropic.amend import amend
from batchflow.ports.builder import BuildError

REQUEST = b'{"model":"m","max_tokens":300,"system":"s","huge":1e400,"messages":[{"role":"user","content":"hi"}],"metadata":{"a":1.0,"n":12345678901234567890123}}'
THINKING = {"type": "thinking", "thinking": "hm", "signature": "x"}


def line(*content: dict[str, Any]) -> bytes:
    return json.dumps(
        {"custom_id": "t-1", "result": {"type": "succeeded", "message": {"role": "assistant", "content": content}}}
    ).encode()


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {
        "model": st.text(),
        "max_tokens": st.integers(1, 10_000),
        "messages": st.lists(json_values, min_size=1, max_size=3),
    }
).flatmap(
    lambda request: st.dictionaries(st.text(max_size=5), json_values, max_size=4).map(lambda more: {**more, **request})
)
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=3)


@given(request=requests)
def test_a_larger_cap_changes_the_cap_and_nothing_else(request: dict[str, Any]) -> None:
    amended = json.loads(amend(json.dumps(request).encode(), {"max_tokens": {"factor": 3.0, "ceiling": 40_000}}, b""))
    assert amended == {**request, "max_tokens": min(3 * request["max_tokens"], 40_000)}
    assert list(amended) == list(request)


@given(request=requests, spoken=texts, reasons=texts)
def test_saying_what_is_wrong_adds_to_the_messages_and_changes_nothing_else(
    request: dict[str, Any], spoken: list[str], reasons: list[str]
) -> None:
    amended = json.loads(amend(json.dumps(request).encode(), {"say": reasons}, line(*map(text, spoken))))
    added = amended["messages"][len(request["messages"]) :]
    assert {**amended, "messages": amended["messages"][: len(request["messages"])]} == request
    assert [turn["role"] for turn in added] == (["assistant", "user"] if "".join(spoken).strip() else ["user"])
    assert all(reason in added[-1]["content"] for reason in reasons)


@given(request=requests, blocks=st.lists(st.dictionaries(st.text(max_size=5), json_values), min_size=1, max_size=3))
def test_going_on_adds_the_content_as_received_and_changes_nothing_else(
    request: dict[str, Any], blocks: list[dict[str, Any]]
) -> None:
    amended = json.loads(amend(json.dumps(request).encode(), {"continue": True}, line(*blocks)))
    assert amended == {**request, "messages": [*request["messages"], {"role": "assistant", "content": blocks}]}


@given(request=requests, name=st.text(max_size=5), value=json_values)
def test_setting_a_parameter_changes_that_one_alone(request: dict[str, Any], name: str, value: Any) -> None:
    amended = json.loads(amend(json.dumps(request).encode(), {"set": {name: value}}, b""))
    assert {**amended, name: None} == {**request, name: None}
    assert isinstance(value, dict) or amended[name] == value


def test_what_a_change_does_not_name_stays_byte_for_byte() -> None:
    assert amend(REQUEST, {"max_tokens": {"factor": 2.0, "ceiling": 2000}}, b"") == REQUEST.replace(b"300", b"600")


def test_no_change_is_no_change() -> None:
    assert amend(REQUEST, {}, b"") == REQUEST


@pytest.mark.parametrize(("factor", "ceiling", "cap"), [(2.0, 2000, 600), (10.0, 2000, 2000), (1.5, 400, 400)])
def test_a_cap_grows_by_its_factor_up_to_the_ceiling(factor: float, ceiling: int, cap: int) -> None:
    assert (
        json.loads(amend(REQUEST.replace(b"1e400", b"1"), {"max_tokens": {"factor": factor, "ceiling": ceiling}}, b""))[
            "max_tokens"
        ]
        == cap
    )


@pytest.mark.parametrize("ceiling", [300, 299])
def test_a_cap_at_its_ceiling_is_not_asked_again(ceiling: int) -> None:
    with pytest.raises(BuildError, match="max_tokens 300"):
        amend(REQUEST, {"max_tokens": {"factor": 2.0, "ceiling": ceiling}}, b"")


def test_only_the_text_of_a_bad_answer_is_said_back() -> None:
    amended = json.loads(
        amend(
            REQUEST,
            {"say": ["$.a: wrong"]},
            line(THINKING, {"type": "note", "text": "not said"}, text('{"a":'), text(" 1}\n")),
        )
    )
    assert amended["messages"][1] == {"role": "assistant", "content": '{"a": 1}'}
    assert amended["messages"][2]["role"] == "user"


def test_maps_are_set_deeply_and_everything_else_replaced() -> None:
    assert amend(REQUEST, {"set": {"metadata": {"b": {"c": [1]}}, "system": {"x": 1}}}, b"") == REQUEST.replace(
        b"0123}", b'0123,"b":{"c":[1]}}'
    ).replace(b'"s"', b'{"x":1}')


def test_several_changes_may_come_together() -> None:
    amended = json.loads(amend(REQUEST, {"max_tokens": {"factor": 2.0, "ceiling": 900}, "set": {"model": "n"}}, b""))
    assert (amended["max_tokens"], amended["model"]) == (600, "n")


@pytest.mark.parametrize(
    "answer", [line(), b'{"custom_id":"t-1","result":{"type":"expired"}}', b'{"result":{"message":{"content":null}}}']
)
def test_there_must_be_content_to_go_on_from(answer: bytes) -> None:
    with pytest.raises(BuildError, match="no content"):
        amend(REQUEST, {"continue": True}, answer)


def test_an_unknown_change_is_named() -> None:
    with pytest.raises(ValueError, match="'temprature'"):
        amend(REQUEST, {"temprature": 1}, b"")
