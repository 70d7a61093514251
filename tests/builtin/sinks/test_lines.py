"""What a result looks like in a file."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.sinks import csv as csv_module
from batchflow.builtin.sinks.fields import compile_fields
from batchflow.builtin.sinks.lines import CsvLines, JsonLines
from batchflow.model.errors import SinkError
from batchflow.model.result import NO_USAGE
from batchflow.model.words import Word
from batchflow.testing.sink import result

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def line(row, fields=None):
    return json.loads(JsonLines(compile_fields(fields) if fields else None).encode([row]))


def cells(data, delimiter=","):
    return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))


def test_the_line_of_an_answer():
    assert line(result("k", "yes")) == {
        "key": "k", "word": "ok", "attempt": 1, "carried": {"tenant": "north"}, "text": "yes",
        "usage": {
            "input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        },
        "cost": 0.0000205, "model": "claude-haiku-4-5", "batch": "batch-1",
    }  # fmt: skip


def test_the_line_of_a_structured_answer_has_output_in_place_of_text():
    row = result("k", '{"a":1}')
    row.output = {"a": 1}
    said = line(row)
    assert said["output"] == {"a": 1}
    assert "text" not in said


def test_the_line_of_a_row_that_was_never_answered_says_only_what_is_known():
    row = result("k", "", word=Word.EXPIRED, error="not processed within 24 h")
    row.usage, row.cost, row.model, row.carried, row.line = NO_USAGE, 0, "", {}, b""
    assert line(row) == {
        "key": "k",
        "word": "expired",
        "attempt": 1,
        "error": "not processed within 24 h",
        "origin": row.origin,
        "batch": "batch-1",
    }
    assert row.origin


def test_an_empty_answer_has_an_empty_text():
    assert line(result("k", ""))["text"] == ""


def test_fields_are_native_json():
    row = result("k")
    row.output = {"tags": ["a", None, True]}
    fields = {
        "id": "key",
        "tags": "output.tags",
        "all": "message",
        "spent": "usage",
        "state": "'done'",
        "none": "output.x",
    }
    said = line(row, fields)
    assert list(said) == list(fields)
    assert said["tags"] == ["a", None, True]
    assert said["all"] == {"id": "msg_1"}
    assert said["spent"]["input_tokens"] == 10
    assert said["none"] is None


@settings(deadline=None)
@given(
    st.lists(TEXT | st.sampled_from(["\u2028", "\u2029 x", "\x85", "\u00c2\u0085", "\u20ac", "\\u2028"]), max_size=5)
)
def test_however_a_reader_splits_lines_it_finds_the_rows(texts):
    data = JsonLines(None).encode([result(f"k{n}", text) for n, text in enumerate(texts)])
    for split in (data.decode().splitlines(), data.decode().split("\n")[: len(texts)], data.splitlines()):
        assert [json.loads(one)["text"] for one in split] == texts


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=5), st.sampled_from([",", ";", "\t", "|"]))
def test_csv_comes_back_as_it_was(pairs, delimiter):
    lines = CsvLines(compile_fields({"id": "key", "text": "text"}), delimiter)
    data = lines.head + lines.encode([result(key, text) for key, text in pairs])
    assert cells(data, delimiter) == [["id", "text"], *(list(pair) for pair in pairs)]


def test_csv_cells_are_plain():
    row = result("k", "=SUM(A1)")
    row.output = {"yes": True, "no": False, "list": [1, "a,b"], "number": 1.5}
    columns = ["text", "output.yes", "output.no", "output.list", "output.number", "output.none", "word", "cost"]
    data = CsvLines(compile_fields({name: name for name in columns}), ",").encode([row])
    assert cells(data) == [["=SUM(A1)", "true", "false", '[1,"a,b"]', "1.5", "", "ok", "2.05e-05"]]


def test_csv_ends_rows_with_crlf_and_doubles_quotes():
    lines = CsvLines(compile_fields({"a b": "key", "t": "text"}), ",")
    assert lines.head == b"a b,t\r\n"
    assert lines.encode([result("k", 'say "hi"\nnow')]) == b'k,"say ""hi""\nnow"\r\n'


def test_a_single_empty_cell_is_still_a_row():
    assert cells(CsvLines(compile_fields({"t": "text"}), ",").encode([result("k", "")])) == [[""]]


@pytest.mark.parametrize("delimiter", ["", ",,", "\n", '"'])
def test_a_delimiter_that_cannot_be_one_is_refused(delimiter, tmp_path):
    with pytest.raises(ValueError, match="one character"):
        csv_module.csv(path=tmp_path / "x.csv", delimiter=delimiter)


@pytest.mark.parametrize("lines", [JsonLines(None), CsvLines(compile_fields({"t": "text"}), ",")], ids=["jsonl", "csv"])
def test_a_text_that_is_no_unicode_names_its_row(lines):
    with pytest.raises(SinkError, match="the row of key 'odd'"):
        lines.encode([result("even"), result("odd", "\ud800")])
