"""Text-and-variable templates run as concatenation: shown equal to Jinja2 and a full encode, errors included."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError

from batchflow.builtin.builders.concatenation import concatenation, plain
from batchflow.builtin.builders.environment import environment
from batchflow.builtin.builders.template import template
from batchflow.model.record import Record
from batchflow.ports.builder import BuildError

ENVIRONMENT = environment()
REFUSED = "refused"

NAMES = ("a", "b", "claim", "record", "items", "self", "range", "missing")
characters = st.characters()  # surrogates, control characters and all
plain_text = st.text(st.one_of(characters, st.sampled_from('%{}\\"\n\r # s')), max_size=12)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(characters, max_size=20))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(("b", "items", "0", "ключ")), inner, max_size=3)
    ),
    max_leaves=6,
)
records = st.dictionaries(st.sampled_from(NAMES[:-1]), values, max_size=5)

steps = st.sampled_from((".b", ".items", '["b"]', '["ключ"]', "[0]", "[1]", ".upper", ".__class__"))
variables = st.builds(lambda root, path: root + "".join(path), st.sampled_from(NAMES), st.lists(steps, max_size=2))
tags = st.builds(
    "{open} {name} {close}".format,
    open=st.sampled_from(("{{", "{{-")),
    name=variables,
    close=st.sampled_from(("}}", "-}}")),
)
pieces = st.one_of(
    plain_text, tags, tags, st.sampled_from(("{# a note #}", "{% raw %}{{ a }}{% endraw %}", "{{ 'const' }}"))
)
sources = st.lists(pieces, max_size=6).map("".join)


def slowly(source: str, data: dict[str, Any]) -> bytes | str:
    """The long way round: Jinja2 renders, msgspec encodes the whole request."""
    try:
        text = ENVIRONMENT.from_string(source).render({"record": data, **data})
        request = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
        return msgspec.json.encode(request) if text.strip() else REFUSED
    except (TemplateError, TypeError, ValueError):
        return REFUSED


def quickly(source: str, data: dict[str, Any]) -> bytes | str:
    try:
        return template(model="m", max_tokens=9, prompt=source).build(Record("k", data, "x:1"))
    except (BuildError, ValueError):
        return REFUSED


@settings(max_examples=400, deadline=None)
@given(source=sources, data=records)
def test_a_request_is_what_jinja_and_a_full_encode_would_make(source: str, data: dict[str, Any]) -> None:
    assert quickly(source, data) == slowly(source, data)


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(plain_text.filter(lambda text: "{" not in text), min_size=3, max_size=3), a=values, b=values)
def test_plain_variables_of_any_value_render_as_jinja_renders_them(texts: list[str], a: Any, b: Any) -> None:
    source = f"{texts[0]}{{{{ a }}}}{texts[1]}{{{{ b }}}}x{texts[2]}"
    pieces = plain(ENVIRONMENT.parse(source), globals_=ENVIRONMENT.globals)
    assert pieces is not None
    assert concatenation(pieces)({"a": a, "b": b}) == ENVIRONMENT.from_string(source).render(a=a, b=b)


@settings(max_examples=200, deadline=None)
@given(data=st.dictionaries(st.sampled_from(("a", "b")), values, min_size=2))
def test_whatever_is_built_is_json(data: dict[str, Any]) -> None:
    built = quickly("{{ a }} and {{ b }}", data)
    assert built == REFUSED or isinstance(json.loads(built), dict)


@pytest.mark.parametrize(
    "source",
    [
        "text",
        "",
        "{{ a }}",
        "x {{ a }} y {{ b }}",
        "{{ a.b }}",
        '{{ a["b c"] }}',
        "{{ a[0].b }}",
        "{{- a -}}",
        "{# note #}{{ a }}",
        "{% raw %}{{{% endraw %}",
        '{{ record["x y"] }}',
    ],
)
def test_text_and_plain_variables_are_compiled(source: str) -> None:
    assert plain(ENVIRONMENT.parse(source), globals_=ENVIRONMENT.globals) is not None


@pytest.mark.parametrize(
    "source",
    [
        "{{ a | upper }}",
        "{{ a + b }}",
        "{% if a %}x{% endif %}",
        "{{ a[b] }}",
        "{{ a() }}",
        "{{ a[-1] }}",
        "{{ a[1:] }}",
        "{{ self }}",
        "{{ range }}",
        "{% set a = 1 %}{{ a }}",
    ],
)
def test_anything_else_is_left_to_jinja(source: str) -> None:
    assert plain(ENVIRONMENT.parse(source), globals_=ENVIRONMENT.globals) is None


@pytest.mark.parametrize(
    ("prompt", "name"), [("{{ gone }}", "gone"), ("a {{ claim.gone }}", "gone"), ("{{ a }}{{ gone.deeper }}", "gone")]
)
def test_a_missing_variable_is_named_as_jinja_names_it(prompt: str, name: str) -> None:
    with pytest.raises(BuildError, match=name):
        template(model="m", max_tokens=1, prompt=prompt).build(Record("k", {"a": "x", "claim": {}}, "x:1"))


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d \ude00"])
def test_half_a_character_refuses_the_record_in_plain_words(text: str) -> None:
    with pytest.raises(BuildError, match="lone surrogate"):
        template(model="m", max_tokens=1, prompt="Say {{ a }}").build(Record("k", {"a": text}, "x:1"))


class Both:
    """A value from a Python source that has an attribute and a key of one name."""

    b = "attribute"

    def __getitem__(self, key: str) -> str:
        return f"key {key}"


def test_values_that_are_no_json_are_left_to_jinja() -> None:
    built = template(model="m", max_tokens=1, prompt="{{ a.b }}").build(Record("k", {"a": Both()}, "x:1"))
    assert json.loads(built)["messages"][0]["content"] == "attribute"
