"""The mapping language: what an expression gets of a result, and what is said of a wrong one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.sinks.fields import compile_fields, problems
from batchflow.builtin.sinks.lines import as_text
from batchflow.model.result import Result, ServerTools, Usage
from batchflow.model.words import Word

OUTPUT = {"a": {"b": [10, {"c": None}]}, "a.b": "dotted", "list": ["x", "y"], "text": "abc", "2020": 1}


def make(**changes):
    facts = {
        "key": "k1", "word": Word.OK, "attempt": 2, "batch": "b1", "row": 3, "origin": "in.csv:7",
        "carried": {"tenant": "north", "text": "carried text", "deep": {"er": 1}, "Claim ID": 9},
        "text": "the answer", "output": OUTPUT, "line": b'{"result":{"message":{"id":"m"}}}',
        "usage": Usage(input_tokens=10, output_tokens=5, server_tool_use=ServerTools(web_search_requests=2)),
        "model": "haiku", "stop_reason": "end_turn", "error": "", "cost": 1_500_000_000, "list_cost": 3_000_000_000,
    }  # fmt: skip
    return Result(**(facts | changes))


def value(expression, row=None):
    return next(compile_fields({"c": expression}).table([row or make()]))[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("key", "k1"),
        ("text", "the answer"),
        ("word", "ok"),
        ("attempt", 2),
        ("batch", "b1"),
        ("model", "haiku"),
        ("origin", "in.csv:7"),
        ("stop_reason", "end_turn"),
        ("error", ""),
        ("cost", 1.5),
        ("list_cost", 3.0),
        ("usage.input_tokens", 10),
        ("usage.cache_read_input_tokens", 0),
        ("usage.server_tool_use.web_search_requests", 2),
        ("usage.cache_creation.ephemeral_5m_input_tokens", None),
        ("output", OUTPUT),
        ("output.a.b[0]", 10),
        ("output.a.b[-1].c", None),
        ("output.list[1]", "y"),
        ("output.list[2]", None),
        ("output.list[-3]", None),
        ("output.list.x", None),
        ("output.a[0]", None),
        ("output.text[0]", None),
        ("output.2020", 1),
        ('output["a.b"]', "dotted"),
        ("output['a.b']", "dotted"),
        ("output.nothing.there", None),
        ("tenant", "north"),
        ("Claim ID", 9),
        ("deep.er", 1),
        ("carried.text", "carried text"),
        ("carried.deep.er", 1),
        ("carried", {"tenant": "north", "text": "carried text", "deep": {"er": 1}, "Claim ID": 9}),
        ("'done'", "done"),
        ("''", ""),
        ("'it''s done'", "it's done"),
        ("  key  ", "k1"),
    ],
)
def test_an_expression_gets(expression, expected):
    assert value(expression) == expected


def test_the_message_stays_as_it_was_received():
    assert bytes(value("message")) == b'{"id":"m"}'
    assert as_text(value("message")) == '{"id":"m"}'
    assert as_text(value("message", make(line=b""))) is None


def test_a_row_without_output_gives_null():
    assert value("output.a.b[0]", make(output=None)) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("a", "a"), (1, 1), (1.5, 1.5), (True, True), ([1, "é"], '[1,"é"]'), ({"a": None}, '{"a":null}')],
)
def test_only_structures_become_json_text(value, expected):
    assert as_text(value) == expected


def test_columns_keep_their_order_and_rows_theirs():
    fields = compile_fields({"z": "key", "a": "attempt", "m": "'x'"})
    assert fields.names == ("z", "a", "m")
    assert list(fields.table([make(key="1"), make(key="2", attempt=1)])) == [("1", 2, "x"), ("2", 1, "x")]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "cannot read ''"),
        ("'open", 'cannot read "\'open"'),
        ("output.", "from '.' on"),
        ("output[x]", "from '[x]' on"),
        ("output..a", "from '..a' on"),
        ("key.part", "key has no parts"),
        ("cost[0]", "cost has no parts"),
        ("message.content", "message has no parts"),
        ("usage.input_token", "did you mean usage.input_tokens"),
        ("usage.banana", "known are usage.input_tokens"),
    ],
)
def test_a_wrong_expression_is_refused_with_what_would_be_right(expression, said):
    with pytest.raises(ValueError, match="field 'c'") as caught:
        compile_fields({"c": expression})
    assert said in str(caught.value)


def test_a_mapping_without_columns_is_refused():
    with pytest.raises(ValueError, match="names no column"):
        compile_fields({})


def test_every_problem_is_told_at_once():
    assert len(problems({"a": "usage.x", "b": "key", "c": "'", "d": "word.x"})) == 3


def test_an_unknown_column_is_found_when_the_carried_ones_are_known():
    carry = frozenset({"tenant", "region"})
    assert problems({"t": "tenant", "r": "region.x", "k": "key", "c": "carried.tenant"}, carry) == []
    (problem,) = problems({"t": "tenat"}, carry)
    assert "did you mean tenant" in problem
    assert "listed in `carry`" in problem
    (problem,) = problems({"s": "ouput.severity"}, carry)
    assert "did you mean output?" in problem


def test_an_unknown_column_gives_null_when_they_are_not_known():
    assert value("nowhere") is None
    assert value("nowhere.deeper[0]") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
STEPS = st.lists(st.integers(-3, 3) | st.text(max_size=3).filter(lambda name: not set(name) & set("\"'")), max_size=4)


@settings(deadline=None)
@given(output=JSON, steps=STEPS)
def test_any_path_gives_what_walking_by_hand_gives(output, steps):
    expression = "output" + "".join(f"[{step}]" if isinstance(step, int) else f'["{step}"]' for step in steps)
    expected = output
    for step in steps:
        fits = isinstance(expected, dict if isinstance(step, str) else list)
        try:
            expected = expected[step] if fits else None
        except LookupError:
            expected = None
    assert value(expression, make(output=output)) == expected
