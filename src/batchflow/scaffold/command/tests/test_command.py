"""The verb as it is typed."""

import json

import pytest
from batchflow import Plugins
from cyclopts import App, CycloptsError

import your_plugin
from your_plugin.command import count

ROWS = [{"tenant": "north"}, {"tenant": "south"}, {"tenant": "north", "n": 1}, {"n": None}, {"tenant": "ö 漢"}]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    return path


def typed(*words):
    """Do what was typed after `batchflow`, and give the exit code."""
    app = App(result_action="return_value")
    for name, verb in Plugins([your_plugin], entry_points=False).commands().items():
        app.command(verb, name=name)
    return app([str(word) for word in words], exit_on_error=False)


def test_rows_are_counted_those_of_most_first(file, capsys):
    assert typed("your_part", file, "--by", "tenant") == 0
    said = capsys.readouterr()
    assert said.out == "2\tnorth\n1\tsouth\n1\tö 漢\n"
    assert said.err == "1 of 5 rows have no column `tenant`\n"


def test_no_more_is_shown_than_was_asked_for(file, capsys):
    assert typed("your_part", file, "--by", "tenant", "--top", "1") == 0
    assert capsys.readouterr().out == "2\tnorth\n"


def test_what_is_no_text_is_shown_as_json(file, capsys):
    assert typed("your_part", file, "--by", "n") == 0
    assert capsys.readouterr().out == "1\t1\n1\tnull\n"


def test_an_empty_file_has_nothing_to_count(tmp_path, capsys):
    (tmp_path / "empty.jsonl").touch()
    assert typed("your_part", tmp_path / "empty.jsonl", "--by", "tenant") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("line", ["{", "7", "[]", "", '{"a": 1} x'])
def test_a_line_that_is_no_row_is_a_sentence_and_code_2(file, capsys, line):
    with file.open("a", encoding="utf-8") as lines:
        lines.write(f"{line}\n")
    assert typed("your_part", file, "--by", "tenant") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "line 6 of" in said.err


def test_a_file_that_is_not_there_is_a_sentence_and_code_2(tmp_path, capsys):
    assert typed("your_part", tmp_path / "gone.jsonl", "--by", "tenant") == 2
    assert "gone.jsonl" in capsys.readouterr().err


def test_words_that_it_does_not_know_are_refused(file, capsys):
    for words in (["your_part", file], ["your_part", file, "--by", "a", "--loud"], ["your_part", "--by", "a"]):
        with pytest.raises(CycloptsError):
            typed(*words)


def test_an_app_finds_it_by_its_name():
    assert Plugins([your_plugin], entry_points=False).commands()["your_part"] is count
