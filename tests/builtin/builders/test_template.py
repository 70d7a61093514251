"""The template builder: what reaches the API from a job's `request:`."""

import json
from pathlib import Path
from typing import Any

import pytest

from batchflow.builtin.builders.builder import TemplateBuilder
from batchflow.builtin.builders.template import template
from batchflow.model.record import Record
from batchflow.ports.builder import BuildError
from batchflow.testing.builder import BuilderContract


def record(**data: Any) -> Record:
    return Record("k-1", data, "in.jsonl:1")


def make(**request: Any) -> TemplateBuilder:
    return template(**{"model": "claude-haiku-4-5", "max_tokens": 300, **request})


def params(builder: TemplateBuilder, **data: Any) -> dict[str, Any]:
    return json.loads(builder.build(record(**data)))


CLAIMS = [
    Record("c-1", {"title": "Hail", "text": 'It said "crack".\n\tThen\x00 rain.', "amount": 120.5}, "claims.csv:2"),
    Record("c-2", {"title": "Дым", "text": "🔥 \u2028 \U0001f9ef", "amount": None}, "claims.csv:3"),
    Record("c-3", {"title": "", "text": "short", "amount": [1, {"a": True}]}, "claims.csv:4"),
]


class TestPlainTemplate(BuilderContract):
    @pytest.fixture
    def builder(self) -> TemplateBuilder:
        return make(system="You triage claims.", prompt="{{ title }} ({{ amount }}): {{ text }}")

    @pytest.fixture
    def records(self) -> list[Record]:
        return CLAIMS

    @pytest.fixture
    def hopeless(self) -> list[Record]:
        return [record(title="no text", amount=1), record(title="a", amount=1, text="half \ud83d")]


class TestTemplateWithLogic(BuilderContract):
    @pytest.fixture
    def builder(self) -> TemplateBuilder:
        return make(
            prompt="{% if amount %}{{ amount }}{% else %}unknown{% endif %} {{ text | upper }}",
            max_tokens="{{ 100 + title | length }}",
        )

    @pytest.fixture
    def records(self) -> list[Record]:
        return CLAIMS

    @pytest.fixture
    def hopeless(self) -> list[Record]:
        return [record(title="x", amount=3), record(title="x", amount=3, text="\udc80")]


def test_the_smallest_request_is_a_model_a_limit_and_one_user_turn() -> None:
    assert params(make(prompt="Summarise: {{ text }}"), text="abc") == {
        "model": "claude-haiku-4-5",
        "max_tokens": 300,
        "messages": [{"role": "user", "content": "Summarise: abc"}],
    }


def test_any_other_parameter_passes_through_untouched() -> None:
    given = {
        "thinking": {"type": "adaptive"},
        "stop_sequences": ["{{ not_a_variable }}"],
        "metadata": {"user_id": "u"},
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "tool_choice": {"type": "auto"},
        "temperature": 0.0,
        "a_parameter_of_next_year": None,
    }
    built = params(make(prompt="hi", tools=[{"name": "t", "description": "{{ braces }}", "input_schema": {}}], **given))
    assert {name: built[name] for name in given} == given
    assert built["tools"] == [{"name": "t", "description": "{{ braces }}", "input_schema": {}}]


def test_keys_keep_their_order_so_equal_records_give_equal_bytes() -> None:
    builder = make(prompt="{{ a }}", system="s", metadata={"z": 1, "a": 2})
    assert builder.build(record(a="x")) == builder.build(record(a="x"))
    assert list(params(builder, a="x")) == ["model", "max_tokens", "metadata", "system", "messages"]
    assert list(params(builder, a="x")["metadata"]) == ["z", "a"]


def test_messages_come_first_and_the_prompt_is_the_last_turn() -> None:
    turns = [
        {"role": "user", "content": "Q: {{ q }}"},
        {"role": "assistant", "content": [{"type": "text", "text": "A: {{ a }}"}]},
    ]
    built = params(make(messages=turns, prompt="And {{ q }}?"), q="1", a="2")
    assert built["messages"] == [
        {"role": "user", "content": "Q: 1"},
        {"role": "assistant", "content": [{"type": "text", "text": "A: 2"}]},
        {"role": "user", "content": "And 1?"},
    ]


def test_only_the_texts_of_a_turn_are_templates() -> None:
    document = {
        "type": "document",
        "title": "{{ title }}",
        "source": {"type": "text", "media_type": "text/plain", "data": "{{ text }}"},
    }
    built = params(
        make(messages=[{"role": "user", "content": [document, {"type": "text", "text": "Sum up."}]}]), text="abc"
    )
    assert built["messages"][0]["content"][0]["source"]["data"] == "abc"
    assert built["messages"][0]["content"][0]["title"] == "{{ title }}"


def test_a_system_prompt_may_be_a_list_of_blocks() -> None:
    blocks = [{"type": "text", "text": "For {{ tenant }}.", "cache_control": {"type": "ephemeral"}}]
    assert params(make(prompt="hi", system=blocks), tenant="north")["system"] == [{**blocks[0], "text": "For north."}]


def test_a_system_prompt_may_render_empty() -> None:
    assert params(make(prompt="hi", system="{{ extra }}"), extra="")["system"] == ""


def test_model_and_max_tokens_may_be_templates() -> None:
    built = params(make(model="{{ tier }}", max_tokens="{{ limit }}", prompt="hi"), tier="claude-opus-5", limit=77)
    assert (built["model"], built["max_tokens"]) == ("claude-opus-5", 77)


def test_a_limit_written_as_text_is_sent_as_a_number() -> None:
    assert params(make(max_tokens=" 250 ", prompt="hi"))["max_tokens"] == 250


@pytest.mark.parametrize("limit", ["many", 0, -1, 1.5, "", "٣", "1_0"])
def test_a_limit_that_is_no_whole_number_refuses_the_record(limit: object) -> None:
    with pytest.raises(BuildError, match="max_tokens"):
        make(max_tokens="{{ limit }}", prompt="hi").build(record(limit=limit))


def test_text_files_are_read_when_the_builder_is_made(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("Do {{ x }}.\n", encoding="utf-8")
    (tmp_path / "s.md").write_bytes("\ufeffBe kind.\r\nAlways.\r\n".encode())
    builder = make(prompt={"file": "p.md"}, system={"file": "s.md"}, base=tmp_path)
    (tmp_path / "p.md").write_text("changed", encoding="utf-8")
    built = params(builder, x="it")
    assert (built["messages"][0]["content"], built["system"]) == ("Do it.", "Be kind.\nAlways.")


def test_one_trailing_newline_is_dropped_and_nothing_else_is_trimmed() -> None:
    assert params(make(prompt="  a\n\n"), a=1)["messages"][0]["content"] == "  a\n"


@pytest.mark.parametrize("name", ["turns.json", "turns.yaml"])
def test_messages_may_come_from_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('[{"role": "user", "content": "{{ x }}"}]', encoding="utf-8")
    assert params(make(messages={"file": name}, base=tmp_path), x="y")["messages"] == [{"role": "user", "content": "y"}]


def test_a_block_may_take_its_text_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("Rules for {{ x }}", encoding="utf-8")
    blocks = [{"type": "text", "text": {"file": "long.md"}, "cache_control": {"type": "ephemeral"}}]
    assert params(make(prompt="hi", system=blocks, base=tmp_path), x="all")["system"][0]["text"] == "Rules for all"


def test_output_is_sent_as_structured_output_beside_what_else_is_asked_of_it() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    builder = make(prompt="hi", output=schema, output_config={"effort": "low"})
    assert params(builder)["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    assert builder.output == schema


def test_an_output_schema_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "object"}', encoding="utf-8")
    assert make(prompt="hi", output={"file": "s.json"}, base=tmp_path).output == {"type": "object"}


def test_two_output_schemas_are_refused() -> None:
    with pytest.raises(ValueError, match="keep one"):
        make(prompt="hi", output={}, output_config={"format": {}})


def test_a_request_without_prompt_and_messages_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a prompt"):
        make()


@pytest.mark.parametrize("setting", ["prompt", "system"])
@pytest.mark.parametrize("text", ["triage.md", "prompts/triage.TXT", "here"])
def test_a_text_that_looks_like_a_files_name_is_not_sent(tmp_path: Path, setting: str, text: str) -> None:
    (tmp_path / "here").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match="file: "):
        make(**{"prompt": "hi", setting: text}, base=tmp_path)


def test_a_text_of_several_lines_may_end_in_a_files_name() -> None:
    assert params(make(prompt="Write this to\nnotes.md"))["messages"][0]["content"].endswith("notes.md")


@pytest.mark.parametrize("setting", ["prompt", "system", "messages", "output"])
def test_a_missing_file_is_named(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ValueError, match=rf"{setting}: .*nowhere\.json.* cannot be read"):
        make(**{"prompt": "hi", setting: {"file": "nowhere.json"}}, base=tmp_path)


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.md").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"latin\.md is not UTF-8"):
        make(prompt={"file": "latin.md"}, base=tmp_path)


@pytest.mark.parametrize(("name", "text"), [("m.json", "[{"), ("m.yaml", "a: [")])
def test_a_file_of_messages_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        make(messages={"file": name}, base=tmp_path)


@pytest.mark.parametrize("messages", [{"a": 1}, ["hi"], [{"role": "user"}], "text", {"file": "none.json"}])
def test_messages_that_are_no_turns_are_refused(tmp_path: Path, messages: object) -> None:
    (tmp_path / "none.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="list of turns"):
        make(messages=messages, base=tmp_path)


def test_a_missing_variable_refuses_the_record_and_names_it() -> None:
    with pytest.raises(BuildError, match="prompt: 'text' is undefined"):
        make(prompt="{{ text }}").build(record(txt="a"))


@pytest.mark.parametrize("prompt", ["{{ text }}", "{% if text %}{{ text }}{% endif %}", " {{ text }}\n"])
@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_prompt_that_renders_to_nothing_refuses_the_record(prompt: str, text: str) -> None:
    with pytest.raises(BuildError, match="renders to nothing"):
        make(prompt=prompt).build(record(text=text))


@pytest.mark.parametrize(
    "expression",
    [
        "{{ a / 0 }}",
        "{{ a + 'x' }}",
        "{{ a.__class__ }}",
        "{{ b.append(1) }}",
        "{{ b.sort }}",
        "{{ b[0].conjugate }}",
        "{{ range }}",
        "{{ 'x' * a * 10**15 }}",
    ],
)
def test_whatever_a_template_does_wrong_with_one_record_refuses_that_record(expression: str) -> None:
    data = {"a": 1, "b": [2]}
    with pytest.raises(BuildError, match="prompt"):
        make(prompt=f"text {expression}").build(record(**data))
    assert data == {"a": 1, "b": [2]}


def test_a_field_called_like_a_method_is_the_field() -> None:
    assert (
        params(make(prompt="{{ claim.items }} {{ claim.keys | length }}"), claim={"items": "car", "keys": [1]})[
            "messages"
        ][0]["content"]
        == "car 1"
    )


def test_templates_see_nothing_that_changes_from_run_to_run() -> None:
    faults = make(prompt="{{ [1, 2] | random }}").problems(None, version="2026-10-21")
    assert len(faults) == 1
    assert make(prompt="{{ lipsum() }}").variables() == {"lipsum"}


def test_columns_whose_names_are_no_identifiers_are_read_through_record() -> None:
    builder = make(prompt='{{ record["Claim text"] }} / {{ record.id }}')
    assert params(builder, **{"Claim text": "hail", "id": 3})["messages"][0]["content"] == "hail / 3"
    assert builder.variables() == {"Claim text", "id"}


def test_a_record_can_be_walked_through_whole() -> None:
    builder = make(
        prompt="{% for name, value in record.items() %}{{ name }}={{ value }} {% endfor %}{{ record | tojson }}"
    )
    assert params(builder, a=1, b="<é>")["messages"][0]["content"] == 'a=1 b=<é> {"a": 1, "b": "<é>"}'
    assert builder.variables() == frozenset()


def test_an_earlier_answer_that_looks_like_a_files_name_is_sent_as_it_is() -> None:
    turns = [{"role": "user", "content": "Which file?"}, {"role": "assistant", "content": "notes.md"}]
    assert params(make(messages=turns, prompt="Why?"))["messages"][:2] == turns


def test_what_a_tool_was_called_with_is_no_template() -> None:
    turn = {
        "role": "assistant",
        "content": [
            {"type": "tool_use", "id": "t", "name": "n", "input": {"text": "{{ x }}\n", "content": ["{{ y }}"]}}
        ],
    }
    assert params(make(messages=[turn], prompt="Go on"))["messages"][0] == turn


def test_a_column_called_record_is_that_column() -> None:
    assert (
        params(make(prompt="{{ record }} {{ record.x }}"), record={"x": 1}, x=2)["messages"][0]["content"]
        == "{'x': 1} 1"
    )


def test_registered_filters_can_be_used() -> None:
    assert (
        params(make(prompt="{{ a | shout }}", filters={"shout": lambda text: text.upper() + "!"}), a="hi")["messages"][
            0
        ]["content"]
        == "HI!"
    )


def test_render_shows_the_same_request_that_build_sends() -> None:
    builder = make(prompt="{{ a }}", override="o")
    one = record(a="x", o={"max_tokens": 5})
    assert builder.render(one) == json.loads(builder.build(one))


def test_a_broken_template_never_builds_anything() -> None:
    with pytest.raises(ValueError, match="prompt: line 1"):
        make(prompt="{{ text").build(record(text="a"))
