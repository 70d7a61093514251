"""YAML as a job file means it."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from batchflow.config.faults import Faults, Page
from batchflow.config.reading import read
from batchflow.config.tree import Place


def tree(text):
    faults = Faults(Page("f", text))
    found = read(text, faults)
    assert not faults.errors
    return found


def wrong(text):
    page = Page("f", text)
    faults = Faults(page)
    read(text, faults)
    return [page.told(fault).partition("\n")[0] for fault in faults.errors]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("False", False), ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("NO", "NO"),
        ("null", None), ("~", None), ("", None), ("'true'", "true"), ('"1"', "1"),
        ("12", 12), ("-3", -3), ("012", 12), ("0x1f", 31), ("0o17", 15), ("1_000", "1_000"), ("12:30", "12:30"),
        ("20.00", 20.0), ("1e3", 1000.0), (".5", 0.5), (".inf", math.inf), ("-.INF", -math.inf),
        ("2026-10-21", "2026-10-21"), ("!!str 3", "3"), ("!!int 3", 3), ("1.2.3", "1.2.3"), ("9" * 60, 10**60 - 1),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)  # fmt: skip
def test_a_plain_word_means_what_yaml_1_2_says(written, value):
    found = tree(f"a: {written}").plain()["a"]
    assert (found, type(found)) == (value, type(value))


def test_not_a_number_is_a_number():
    assert math.isnan(tree("a: .nan").plain()["a"])


def test_keys_are_texts():
    assert tree("on: 1\ntrue: 2\n3: 4\n2026-01-01: 5").plain() == {"on": 1, "true": 2, "3": 4, "2026-01-01": 5}


def test_anchors_and_merge_keys_are_followed():
    text = "a: &x {k: 1, l: 2}\nb: *x\nc: {<<: *x, l: 3}\nd: {<<: [*x, {m: 4}]}"
    assert tree(text).plain() == {
        "a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 2}, "c": {"k": 1, "l": 3}, "d": {"k": 1, "l": 2, "m": 4},
    }  # fmt: skip


def test_a_chain_of_anchors_is_read_in_the_time_of_its_length():
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert len(tree("\n".join(lines)).items) == 60


def test_every_key_and_value_has_its_place():
    found = tree("a: 1\nb:\n  - {c: é, d: [x,  y]}\ne:\n")
    assert found.locate(("b", 0, "d", 1)) == Place(3, 20)
    assert found.locate(("b", 0, "d"), at_key=True) == Place(3, 12)
    assert found.locate(("b", 0, "nothing", "deeper")) == Place(3, 5)
    assert found.locate(("e",)) == Place(4, 1)
    assert found.locate(()) == Place(1, 1)


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("a: 1\nb: 2\na: 3", "f:3:1: `a` stands here for the second time"),
        ("a: {x: 1, x: 2}", "f:1:11: `x` stands here for the second time"),
        ("a: !foo 1", "f:1:4: the tag `!foo` is not allowed"),
        ("a: !!python/object:os.system {}", "f:1:4: the tag `!!python/object:os.system` is not allowed"),
        ("a: !!set {x}", "f:1:4: the tag `!!set` is not allowed"),
        ("a: !!int many", "f:1:4: `!!int many` is not understood"),
        ("a: &x [*x]", "f:1:4: this value contains itself"),
        ("? [x]\n: 1", "f:1:3: a key must be a word"),
        ("{{ x }}: 1", "f:1:1: a key must be a word"),
        ("a: {<<: 3}", "f:1:9: `<<` takes a map, or a list of maps"),
        ("a: [1, 2\nb: 3", "f:2:2: this is not YAML: did not find expected ',' or ']' while parsing a flow sequence (begun at line 1)"),
        ("a:\n\tb: 3", "f:2:1: this is not YAML: found character that cannot start any token while scanning for the next token (begun at line 2)"),
        ("a: b: c", "f:1:5: this is not YAML: mapping values are not allowed in this context"),
        ("a: *b", "f:1:4: this is not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2", "f:2:1: this is not YAML: but found another document expected a single document in the stream (begun at line 1)"),
        ("b: é\na: é\x01", "f:2:5: the character U+0001 is not allowed in YAML"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_told_at_its_place(text, head):
    assert wrong(text) == [head]


def test_several_mistakes_are_told_together():
    assert wrong("a: 1\na: !x 2\nb: !y 3\n") == [
        "f:2:1: `a` stands here for the second time",
        "f:3:4: the tag `!y` is not allowed",
    ]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS.filter(lambda key: key not in {"", "<<"}), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS.filter(lambda key: key not in {"", "<<"}), VALUES, max_size=4))
def test_json_is_read_as_it_stands(value):
    import json

    assert tree(json.dumps(value, ensure_ascii=False)).plain() == value


@given(st.text(max_size=40))
def test_no_text_whatever_raises(text):
    faults = Faults(Page("f", text))
    found = read(text, faults)
    assert found is not None or faults.errors
    assert all(Page("f", text).told(fault) for fault in faults.errors)


def test_the_c_parser_is_used():
    assert yaml.__with_libyaml__
