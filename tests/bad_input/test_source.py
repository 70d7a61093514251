"""Input that cannot be read, in whole or in part."""

import os

import pytest

MEMORY = 200_000
"""KiB that the process may take at its peak: the SDK alone takes 85,000."""


def test_an_empty_source_ends_at_once_and_says_so(folder):
    folder.records(0)
    folder.type("validate").has("batchflow.yaml:5:5", "the source is empty", "right one")
    said = folder.type("run").has("the source is empty")
    assert (said.code, folder.asked, folder.lines()) == (0, 0, [])
    assert folder.ps()["state"] == "done"


@pytest.mark.parametrize("verb", ["validate", "run"])
def test_a_missing_key_column_is_named_with_those_that_there_are(folder, verb):
    folder.job(source="{type: jsonl, path: in.jsonl, key: ident}")
    said = folder.type(verb).has(
        "in.jsonl:1: there is no 'ident'", "there is id, text", "mend it, then type `batchflow validate"
    )
    assert (said.code, folder.asked) == (3, 0)
    assert not folder.state.exists()
    assert not folder.lines()


def test_a_missing_key_column_of_a_table_is_found_in_its_header(folder):
    (folder.path / "in.csv").write_text("name,text\na,b\n")
    folder.job(source="{type: csv, path: in.csv, key: id}")
    said = folder.type("run").has("batchflow.yaml:5:31", "no column 'id'", "'name', 'text'")
    assert (said.code, folder.asked) == (3, 0)


@pytest.mark.parametrize("verb", ["validate", "run"])
def test_a_template_variable_that_no_record_has_is_pointed_at(folder, verb):
    folder.job(request='{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{ texte }}"}')
    said = folder.type(verb).has("batchflow.yaml:6:64", "unknown variable 'texte'", "did you mean 'text'?")
    assert (said.code, folder.asked) == (3, 0)
    assert not folder.state.exists()
    assert not folder.lines()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none.jsonl", ["there is no file", "none.jsonl"]),
        ("im.jsonl", ["there is no file", "did you mean", "in.jsonl"]),
        ("inn/*.jsonl", ["no file matches", "inn", "relative to the job file"]),
        ("loop.jsonl", ["loop.jsonl is a link that leads to no file"]),
        ("folder", ["folder is a folder", "folder/*"]),
        ("/dev/null", ["/dev/null is not a regular file", "type: stdin"]),
    ],
)
def test_a_file_that_cannot_be_read_is_named_before_anything_is_made(folder, path, words):
    (folder.path / "folder").mkdir()
    (folder.path / "loop.jsonl").symlink_to("loop.jsonl")
    folder.job(source=f'{{type: jsonl, path: "{path}", key: id}}')
    said = folder.type("run").has("batchflow.yaml:5:", *words)
    assert (said.code, folder.asked) == (3, 0)
    assert not folder.state.exists()


def test_a_file_without_permission_is_named(folder):
    (folder.path / "in.jsonl").chmod(0)
    said = folder.type_as_ordinary_user("run").has("batchflow.yaml:5:33: may not read", "in.jsonl", "ls -l")
    assert (said.code, folder.asked) == (3, 0)
    assert not folder.state.exists()


def test_a_line_that_is_not_utf_8_is_a_dead_letter_with_its_place(folder):
    (folder.path / "in.jsonl").write_bytes(b'{"id":"a","text":"x"}\n{"id":"b","text":"\xff"}\n{"id":"c","text":"y"}\n')
    said = folder.type("run").has("in.jsonl:2: invalid UTF-8 at byte 19")
    assert said.code == 4
    assert folder.keys == ["a", "c"]
    [dead] = folder.lines("dead.jsonl")
    assert (dead["word"], dead["origin"], dead["error"]) == ("build_error", "in.jsonl:2", "invalid UTF-8 at byte 19")
    assert folder.ps()["books"]["unbuildable"] == 1


def test_a_line_of_300_mb_is_a_dead_letter_and_takes_no_memory(folder):
    with (folder.path / "in.jsonl").open("wb") as file:
        file.write(b'{"id":"a","text":"x"}\n{"id":"b","text":"')
        file.seek(300_000_000, os.SEEK_CUR)
        file.write(b'"}\n{"id":"c","text":"y"}\n')
    said, peak = folder.type_and_weigh("run")
    said.has("in.jsonl:2: the line has 300.0 MB, more than max_record (32.0 MB)")
    assert said.code == 4
    assert folder.keys == ["a", "c"]
    assert [dead["origin"] for dead in folder.lines("dead.jsonl")] == ["in.jsonl:2"]
    assert peak < MEMORY


def test_a_prompt_that_renders_empty_is_a_dead_letter_and_never_sent(folder):
    folder.job(request="{model: claude-haiku-4-5, max_tokens: 60, prompt: \"{{ text if id != 'k1' else ' ' }}\"}")
    said = folder.type("run").has("in.jsonl:2: prompt: it renders to nothing")
    assert (said.code, folder.asked, folder.keys) == (4, 2, ["k0", "k2"])
    [dead] = folder.lines("dead.jsonl")
    assert (dead["key"], dead["word"], dead["origin"]) == ("k1", "build_error", "in.jsonl:2")


def test_a_prompt_that_renders_empty_for_all_is_refused_before_anything_is_made(folder):
    folder.job(request="{model: claude-haiku-4-5, max_tokens: 60, prompt: \"{{ '' if text else '' }}\"}")
    said = folder.type("run").has("3 of the first 3 records cannot become a request", "it renders to nothing")
    assert (said.code, folder.asked) == (3, 0)
    assert not folder.state.exists()


def test_a_source_edited_in_mid_run_is_refused_and_goes_on_once_it_is_put_back(folder):
    folder.records(50)
    folder.job(batch=10)
    assert folder.type("run", env={"KEY": "sk-wrong"}).code == 6
    told = (folder.path / "in.jsonl").read_bytes()
    folder.records(49)
    said = folder.type("run").has("was edited in mid-run", "put the old file back", "`--new` begins afresh")
    assert (said.code, folder.asked, folder.lines()) == (2, 0, [])
    (folder.path / "in.jsonl").write_bytes(told)
    assert folder.type("run").code == 0
    assert (len(folder.keys), len(set(folder.keys)), folder.asked) == (50, 50, 50)
    folder.ps()
