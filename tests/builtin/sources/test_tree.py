"""Finding files: the order, the patterns, and what is said when there is nothing."""

import os
from glob import glob

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.sources.tree import find
from batchflow.model.errors import SourceError

NAMES = ("a.csv", "b.csv", "b.txt", ".hidden.csv", "x/a.csv", "x/y/b.csv", "x/.git/c.csv", "x.csv/d.csv", "z/y/a.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(path):
    return [found.name for found in find(path)]


parts = st.sampled_from(["*", "**", "*.csv", "a.csv", "x", "?", "[xz]", "y", ".*", "x.csv"])


@settings(max_examples=200, deadline=None)
@given(pattern=st.lists(parts, min_size=1, max_size=4).map("/".join).filter(lambda text: set(text) & set("*?[")))
def test_a_pattern_finds_the_files_that_glob_finds(folder, pattern):
    expected = {
        os.path.realpath(path)
        for path in glob(f"{folder}/{pattern}", recursive=True)  # noqa: PTH207 -- the model
        if os.path.isfile(path)  # noqa: PTH113 -- "a.csv/" is no file, but Path would drop the slash
    }
    try:
        found = [os.path.realpath(file.path) for file in find(folder / pattern)]
    except SourceError:
        found = []
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_files_come_sorted_folder_by_folder_and_named_below_the_fixed_part(folder):
    assert names(folder / "**" / "*.csv") == ["a.csv", "b.csv", "x.csv/d.csv", "x/a.csv", "x/y/b.csv", "z/y/a.csv"]
    assert names(folder / "x" / "*" / "*.csv") == ["y/b.csv"]
    assert names(folder / "a.csv") == ["a.csv"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    (tmp_path / "a[1].csv").touch()
    assert names(tmp_path / "a[1].csv") == ["a[1].csv"]


def test_a_link_to_a_folder_above_does_not_go_round_for_ever(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.csv").touch()
    (tmp_path / "x" / "up").symlink_to(tmp_path)
    assert names(tmp_path / "**" / "*.csv") == ["x/a.csv"]


def test_a_linked_folder_is_entered_where_the_depth_is_given(tmp_path, folder):
    (tmp_path / "link").symlink_to(folder / "x")
    assert names(tmp_path / "*" / "*.csv") == ["link/a.csv"]


def test_a_name_that_is_no_text_is_written_so_that_json_can_hold_it(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.csv")).touch()
    assert names(tmp_path / "*.csv") == ["\\udcff.csv"]


def test_no_file_is_an_error_with_the_nearest_name(tmp_path):
    (tmp_path / "claims.csv").touch()
    with pytest.raises(SourceError, match="there is no file") as caught:
        names(tmp_path / "claim.csv")
    assert "claims.csv" in caught.value.hint


@pytest.mark.parametrize("path", ["none/*.csv", "*.none", "none/a.csv"])
def test_nothing_found_is_an_error_that_says_where_to_look(path, tmp_path):
    with pytest.raises(SourceError) as caught:
        names(tmp_path / path)
    assert caught.value.hint


def test_a_folder_is_an_error_that_shows_a_pattern(tmp_path):
    with pytest.raises(SourceError, match="is a folder") as caught:
        names(tmp_path)
    assert f"{tmp_path}/*" in caught.value.hint


def test_a_pipe_is_an_error_that_names_stdin(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="not a regular file") as caught:
        names(tmp_path / "pipe")
    assert "stdin" in caught.value.hint
