"""What `validate` finds in a request before the first record is built."""

from typing import Any

import pytest

from batchflow.builtin.builders.builder import TemplateBuilder
from batchflow.builtin.builders.template import template
from batchflow.ports.builder import Inspectable

NEW, OLD = "2026-10-21", "2023-06-01"
COLUMNS = frozenset({"claim_text", "tenant"})


def make(**request: Any) -> TemplateBuilder:
    return template(**{"model": "m", "max_tokens": 10, "prompt": "{{ claim_text }}", **request})


def problems(columns: frozenset[str] | None = COLUMNS, version: str = NEW, **request: Any) -> list[str]:
    return make(**request).problems(columns, version=version)


def test_it_can_be_inspected() -> None:
    assert isinstance(make(), Inspectable)


def test_a_good_request_has_no_problems() -> None:
    assert problems(system="For {{ tenant }}", output={"type": "object"}, thinking={"type": "adaptive"}) == []


def test_an_unknown_variable_is_found_with_its_line_and_a_suggestion() -> None:
    assert problems(prompt="Dear,\n\n{{ clam_text }}\n{{ clam_text }}") == [
        "prompt: line 3: unknown variable 'clam_text'; did you mean 'claim_text'?"
    ]


def test_unknown_variables_are_found_wherever_templates_are_allowed() -> None:
    found = problems(
        model="{{ x1 }}", max_tokens="{{ x2 }}", system="{{ x3 }}", messages=[{"role": "user", "content": "{{ x4 }}"}]
    )
    assert [text.split(":")[0] for text in found] == ["model", "max_tokens", "system", "messages[0].content"]


def test_nothing_is_unknown_while_columns_are() -> None:
    assert problems(columns=None, prompt="{{ anything }}") == []


def test_names_a_template_makes_itself_are_not_unknown() -> None:
    assert (
        problems(
            prompt="{% for word in claim_text.split() %}{{ loop.index }} {{ word }}{% endfor %}{% set n = 1 %}{{ n }}{{ range(3) }}"
        )
        == []
    )


@pytest.mark.parametrize(
    "prompt",
    ["{{ note | default('none') }}", "{% if note is defined %}{{ note }}{% endif %}", "{{ record.note | d('x') }}"],
)
def test_a_variable_that_may_be_missing_is_not_unknown(prompt: str) -> None:
    assert problems(prompt=prompt) == []


def test_a_column_read_through_record_is_looked_for_too() -> None:
    assert problems(prompt='{{ record["tennant"] }}') == [
        "prompt: line 1: unknown variable 'tennant'; did you mean 'tenant'?"
    ]


def test_in_a_column_called_record_anything_may_be_read() -> None:
    assert problems(columns=frozenset({"record"}), prompt="{{ record.anything }}") == []


def test_unknown_columns_of_attach_and_override_are_found() -> None:
    found = problems(attach="scan", override="tenants")
    assert len(found) == 2
    assert found[0].startswith("attach: unknown column 'scan'")
    assert found[1].startswith("override: unknown column 'tenants'; did you mean 'tenant'?")


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_sampling_is_refused_by_the_new_version_and_taken_by_the_old(name: str) -> None:
    assert [text.split(":")[0] for text in problems(**{name: 1})] == [name]
    assert problems(version=OLD, **{name: 1}) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stream", True),
        ("stream", None),
        ("speed", "fast"),
        ("max_tokens", 0),
        ("max_tokens", -3),
        ("max_tokens", True),
        ("max_tokens", "lots"),
        ("max_tokens", "0"),
        ("max_tokens", "-2"),
    ],
)
def test_what_no_version_takes_in_a_batch_is_found(name: str, value: object) -> None:
    for version in (NEW, OLD):
        found = problems(version=version, **{name: value})
        assert len(found) == 1
        assert found[0].startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "value", "harmless"),
    [
        ("store", True, False),
        ("previous_thread_event_id", "event_1", None),
        ("cache_hint", {"ttl": 1}, None),
        ("context_hint", "x", None),
        ("research_preview_2026_02", "active", "inactive"),
    ],
)
def test_what_batches_do_not_support_is_found_and_its_off_is_not(name: str, value: object, harmless: object) -> None:
    assert problems(**{name: value}) == [f"{name}: batches do not support it; remove it"]
    assert problems(**{name: harmless}) == []


def test_the_removed_output_format_is_found_and_its_heir_named() -> None:
    (found,) = problems(output_format={"type": "json_schema"})
    assert found.startswith("output_format: ")
    assert "output_config.format" in found


@pytest.mark.parametrize("attach", [None, "tenant"])
def test_blocks_that_the_new_version_refuses_are_found_where_they_stand(attach: str | None) -> None:
    document = {"type": "document", "source": {"type": "text", "data": "x", "media_type": "text/plain"}}
    cited = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}
    turns = [
        {"role": "assistant", "content": [{"type": "text", "text": "y"}, document]},
        {"role": "user", "content": [document, cited, {"type": "text", "text": "y", "citations": []}]},
    ]
    found = problems(messages=turns, prompt=None, attach=attach)
    assert [text.split(": ")[0] for text in found] == ["messages[0].content[1]", "messages[1].content[1].citations"]
    assert problems(messages=turns, prompt=None, attach=attach, version=OLD) == []


@pytest.mark.parametrize(
    ("refusing", "taking", "request_"),
    [
        ("claude-opus-4-7", "claude-opus-4-6", {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ("claude-haiku-4-5-20251001", "claude-sonnet-4-6", {"thinking": {"type": "adaptive"}}),
        ("claude-fable-5", "claude-sonnet-5", {"thinking": {"type": "disabled"}}),
        ("claude-mythos-5-2", "claude-fable-5-2", {"thinking": {"type": "disabled"}}),
        ("claude-sonnet-5-5", "claude-sonnet-5", {"tool_choice": {"type": "any"}}),
        ("claude-fable-5-1", "claude-fable-5-2", {"tool_choice": {"type": "tool", "name": "f"}}),
        ("claude-opus-4-5", "claude-opus-4-6", {"inference_geo": "us"}),
        (
            "claude-opus-4-6",
            "claude-opus-4-5",
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "prompt": None},
        ),
    ],
)
def test_what_a_model_refuses_is_found_unless_a_record_may_name_another(
    refusing: str, taking: str, request_: dict[str, Any]
) -> None:
    (found,) = problems(model=refusing, **request_)
    assert found.startswith(next(iter(request_)))
    assert refusing in found
    for model in (taking, "claude-next", "my-own-opus-4-7", "{{ tenant }}"):
        assert problems(model=model, **request_) == []
    assert problems(model=refusing, override="tenant", **request_) == []


def test_a_template_where_none_is_filled_is_found() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://x.example/{{ tenant }}.png"}}
    found = problems(
        metadata={"user_id": "{{ tenant }}"},
        thinking={"type": "{% if tenant %}adaptive{% endif %}"},
        messages=[{"role": "user", "content": [image]}],
    )
    assert [text.split(": ")[0] for text in found] == [
        "metadata.user_id",
        "thinking.type",
        "messages[0].content[0].source.url",
    ]
    assert all("`override:`" in text for text in found)


def test_braces_that_may_be_meant_as_braces_are_left_alone() -> None:
    raw = "{% raw %}{{ name }}{% endraw %}"
    called = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"t": "{{ x }}"}}]}
    told = {"type": "json_schema", "schema": {"type": "object", "description": "{{ x }}"}}
    assert (
        problems(
            tools=[{"name": "f", "description": "fills {{ x }}"}], stop_sequences=["{{ end }}"], metadata={"user_id": "{{"},
            output_config={"format": told}, messages=[{"role": "user", "content": raw}, called], system=raw,
        )
        == []
    )  # fmt: skip


def test_a_stream_that_is_off_is_no_problem() -> None:
    assert problems(stream=False) == []


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a\n{{ text", "prompt: line 2: unexpected end of template, expected 'end of print statement'"),
        ("{% if a %}\n\nx", "prompt: line 1: Unexpected end of template"),
        ("a\n{{ claim_text | uper }}", "prompt: line 2: No filter named 'uper'; did you mean 'upper'?"),
        ("{% include 'x.md' %}", "prompt: line 1: a template stands alone here"),
    ],
)
def test_a_template_that_does_not_compile_is_found_with_its_line(prompt: str, found: str) -> None:
    listed = problems(prompt=prompt)
    assert len(listed) == 1
    assert listed[0].startswith(found)


@pytest.mark.parametrize(
    "request_", [{"prompt": " \n"}, {"model": ""}, {"messages": [{"role": "user", "content": "{# note #}"}]}]
)
def test_a_text_that_is_always_empty_is_found(request_: dict[str, Any]) -> None:
    assert [text.partition(": ")[2] for text in problems(**request_)] == ["it is empty"]


@pytest.mark.parametrize(
    "schema",
    [
        ["a"],
        "object",
        {"type": "objekt"},
        {"properties": 3},
        {"$ref": "https://example.com/elsewhere.json"},
        {"$ref": "#/$defs/nowhere"},
    ],
)
def test_an_output_schema_that_is_none_is_found_without_asking_the_network(schema: object) -> None:
    found = problems(output=schema)
    assert len(found) == 1
    assert found[0].startswith("output: ")


@pytest.mark.parametrize(
    ("name", "meant"), [("sytem", "system"), ("atach", "attach"), ("max_token", "max_tokens"), ("message", "messages")]
)
def test_a_slip_of_the_pen_is_found(name: str, meant: str) -> None:
    assert problems(**{name: "x"}) == [f"{name}: no such setting; did you mean {meant!r}?"]


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(prompt="{{ x", system="{{ nobody }}", temperature=1, stream=True, output={"type": 1})) == 5


def test_variables_are_the_columns_a_record_must_have() -> None:
    builder = make(system="{{ tenant }} {{ extra | default('') }}", attach="scan", override="wishes")
    assert builder.variables() == {"claim_text", "tenant", "scan", "wishes"}
