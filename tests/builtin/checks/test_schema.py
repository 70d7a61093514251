"""The schema check: an answer is usable when it is JSON of the job's schema."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.builtin.checks.schema import SchemaCheck, fault, schema
from batchflow.model.result import Bad, Result
from batchflow.model.words import Word
from batchflow.testing.check import CheckContract

TRIAGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "severity": {"enum": ["low", "high"]},
        "parts": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
    "required": ["severity"],
    "additionalProperties": False,
}


def answer(text: str, *, stop_reason: str = "end_turn") -> Result:
    return Result(
        key="k",
        word=Word.OK,
        attempt=1,
        batch="b",
        row=3,
        origin="in.jsonl:4",
        carried={"tenant": "n"},
        text=text,
        stop_reason=stop_reason,
        cost=7,
    )


class TestSchemaCheck(CheckContract):
    @pytest.fixture
    def check(self) -> SchemaCheck:
        return schema(schema=TRIAGE)

    @pytest.fixture
    def good(self) -> list[Result]:
        return [
            answer('{"severity": "low"}'),
            answer(' {"parts": [{"name": "é"}], "severity": "high"}\n'),
            answer("", stop_reason="tool_use"),
        ]

    @pytest.fixture
    def bad(self) -> list[Result]:
        return [
            answer(text)
            for text in (
                "",
                "Severity: low",
                '{"severity": "lo',
                "[]",
                '{"severity": "medium"}',
                '```json\n{"severity": "low"}\n```',
                "\ud800",
            )
        ]


def reasons(text: str) -> tuple[str, ...]:
    verdict = schema(schema=TRIAGE).check(answer(text))
    assert isinstance(verdict, Bad)
    assert verdict.word is Word.BAD_OUTPUT
    return verdict.reasons


def test_what_the_answer_holds_becomes_the_output() -> None:
    passed = schema(schema=TRIAGE).check(answer('{"severity": "low"}'))
    assert isinstance(passed, Result)
    assert passed.output == {"severity": "low"}
    assert passed.text == '{"severity": "low"}'


def test_a_reason_says_where_and_what() -> None:
    assert reasons('{"severity": "medium"}') == ('$.severity: "medium" is not one of "low" or "high"',)
    assert reasons('{"severity": "low", "parts": [{"name": "a"}, {}]}') == (
        '$.parts[1]: "name" is a required property',
    )


def test_at_most_five_short_reasons_are_given() -> None:
    found = reasons(json.dumps({"severity": "x" * 1000, "parts": [{}] * 50}))
    assert len(found) == 5
    assert max(map(len, found)) <= 200


def test_a_fence_round_the_json_is_not_taken_off_in_silence() -> None:
    assert reasons('```json\n{"severity": "low"}\n```') == (
        "the answer is wrapped in a ``` fence; it must be the JSON alone",
    )


def test_an_empty_answer_is_called_so() -> None:
    assert reasons(" \n") == ("the answer has no text",)


def test_a_turn_that_calls_a_tool_is_passed_on_unread() -> None:
    calling = answer("Let me look.", stop_reason="tool_use")
    assert schema(schema=TRIAGE).check(calling) is calling
    assert calling.output is None


def test_json_nested_deeper_than_can_be_read_is_bad_and_no_crash() -> None:
    assert len(reasons("[" * 100_000)) == 1


def test_a_schema_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("type: integer\n", encoding="utf-8")
    check = schema(schema={"file": "s.yaml"}, base=tmp_path)
    assert isinstance(check.check(answer("3")), Result)
    assert isinstance(check.check(answer('"3"')), Bad)


@pytest.mark.parametrize("broken", [{"type": "objekt"}, [], {"$ref": "https://example.com/s.json"}])
def test_a_schema_that_is_none_is_refused_when_the_check_is_made(broken: Any) -> None:
    with pytest.raises(ValueError, match="schema: "):
        schema(schema=broken)
    assert fault(broken)


def test_a_schema_may_not_reach_for_other_files(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"type": "integer"}', encoding="utf-8")
    with pytest.raises(ValueError, match="schema: "):
        schema(schema={"$ref": (tmp_path / "other.json").as_uri()})


@given(st.text(max_size=60))
def test_whatever_a_model_says_gets_a_verdict(text: str) -> None:
    verdict = schema(schema=TRIAGE).check(answer(text))
    assert isinstance(verdict, Bad)
    assert all(0 < len(reason) <= 200 for reason in verdict.reasons)
