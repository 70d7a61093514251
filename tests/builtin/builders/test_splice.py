"""Records whose JSON is copied into the request: shown to mean what decoding, rendering and encoding would have meant."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.builders.builder import TemplateBuilder
from batchflow.builtin.builders.concatenation import plain
from batchflow.builtin.builders.environment import environment
from batchflow.builtin.builders.splice import splice
from batchflow.builtin.builders.template import template
from batchflow.model.record import Columns, Record
from batchflow.ports.builder import BuildError

ENVIRONMENT = environment()
raws = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

spaces = st.sampled_from((" ", "\n", "\t", "\u00a0", "\u3000", "\x1f", "\u2028"))
characters = st.one_of(st.characters(exclude_categories=("Cs",)), spaces, st.sampled_from('"\\/%{é日😀'))
texts = st.text(characters, max_size=12)
values = st.one_of(
    texts,
    texts,
    texts,
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.none(),
    st.booleans(),
    st.lists(texts, max_size=2),
)
records = st.dictionaries(st.sampled_from(("a", "b", "record")), values)
tags = st.sampled_from(
    ("{{ a }}", "{{ b }}", "{{- a -}}", "{{ record }}", "{{ a[0] }}", "{{ a | upper }}", "{# note #}")
)
sources = st.lists(
    st.one_of(tags, tags, st.text(characters.filter(lambda one: one not in "{%"), max_size=4)), max_size=5
)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    """A JSON object, written in one of the many ways in which it can be."""
    record = draw(records)
    said = json.dumps(record, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from((None, 1))))
    if draw(st.booleans()):
        said = said.replace("/", "\\/")
    return said.encode(), msgspec.json.decode(said)


def built(builder: TemplateBuilder, record: Record) -> Any:
    try:
        return json.loads(builder.build(record))
    except BuildError as error:
        return str(error)


@settings(max_examples=600, deadline=None)
@given(spelt=spellings(), prompt=sources.map("".join), system=sources.map("".join))
def test_copied_json_means_what_rendered_text_means(
    spelt: tuple[bytes, dict[str, Any]], prompt: str, system: str
) -> None:
    builder = template(model="m", max_tokens=9, system=system, prompt=prompt)
    line, data = spelt
    copied, rendered = (built(builder, Record("k", columns, "x:1")) for columns in (Columns(raws(line)), data))
    assert copied == rendered


@pytest.mark.parametrize(
    ("prompt", "line", "text"),
    [
        ("Say {{ a }}!", rb'{"a": "\u00e9 \"so\" \n"}', rb'"Say \u00e9 \"so\" \n!"'),
        ("{{ a }}", rb'{"a": "plain"}', rb'"plain"'),
        ("{{ a }}{{ b }}", '{"b": "日本", "a": "x"}'.encode(), '"x日本"'.encode()),
    ],
)
def test_a_plain_string_is_copied_as_it_was_spelt(prompt: str, line: bytes, text: bytes) -> None:
    pieces = plain(ENVIRONMENT.parse(prompt), globals_=ENVIRONMENT.globals)
    assert pieces is not None
    made = splice(pieces, blank=False)
    assert made is not None
    assert made.fill(raws(line)) == text


@pytest.mark.parametrize(
    "line", [b"{}", b'{"a": 1}', b'{"a": null}', b'{"a": ["x"]}', rb'{"a": "\u0020"}', b'{"a": " "}']
)
def test_anything_else_is_left_to_be_rendered(line: bytes) -> None:
    made = splice(plain(ENVIRONMENT.parse("{{ a }}"), globals_=ENVIRONMENT.globals) or [], blank=False)
    assert made is not None
    assert made.fill(raws(line)) is None


@settings(max_examples=300, deadline=None)
@given(page=st.lists(spellings(), max_size=6), prompt=sources.map("".join), plainly=st.booleans())
def test_a_page_is_filled_in_as_its_records_are_one_by_one(
    page: list[tuple[bytes, dict[str, Any]]], prompt: str, plainly: bool
) -> None:
    builder = template(model="m", max_tokens=9, system="" if plainly else "s", prompt=prompt or "p")
    records = [Record("k", Columns(raws(line)), "x:1") for line, _ in page]
    for record, made in zip(records, builder.build_page(records), strict=True):
        if made is not None:
            assert made == builder.build(record)


def test_a_page_of_texts_is_filled_in_at_once_and_the_odd_record_is_left() -> None:
    builder = template(model="m", max_tokens=9, prompt="Say {{ a }}!")
    page = [Record("k", Columns(raws(line)), "x:1") for line in (b'{"a": "x"}', b'{"a": 1}', b"{}", b'{"a": "y"}')]
    assert [made is None for made in builder.build_page(page)] == [False, True, True, False]
    assert [made is None for made in builder.build_page([page[0], page[3]])] == [False, False]
    assert template(model="m", max_tokens=9, prompt="{{ a }}", override="o").build_page(page) == [None] * 4


def test_columns_are_decoded_when_asked_for() -> None:
    columns = Columns(raws(b'{"n": 1, "s": "\\u00e9", "l": [1.5], "far": 1e999, "none": null}'))
    assert columns == {"n": 1, "s": "é", "l": [1.5], "far": "1e999", "none": None}
    assert columns.get("gone") is None
    assert "gone" not in columns
    assert repr(columns) == "{'n': 1, 's': 'é', 'l': [1.5], 'far': '1e999', 'none': None}"
