"""One word for the contents of files: the same as long as they are, and another after any edit."""

import os

import pytest

from batchflow.builtin.sources.csv import csv
from batchflow.builtin.sources.files import files
from batchflow.builtin.sources.fingerprint import fingerprint
from batchflow.builtin.sources.jsonl import jsonl

SIZE = 3 << 20


@pytest.fixture
def path(tmp_path):
    """A file of more than a block, full of ones."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1" * SIZE)
    return path


async def test_a_touch_changes_nothing(path):
    before = await fingerprint(path)
    os.utime(path, (1, 1))
    assert await fingerprint(path) == before


@pytest.mark.parametrize("place", [0, 64 << 10, (1 << 20) - 1, 1 << 20, SIZE // 2, SIZE - 1])
async def test_an_edit_anywhere_is_noticed_though_size_and_time_stay(path, place):
    times = path.stat()
    before = await fingerprint(path)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"2")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert await fingerprint(path) != before


async def test_a_copy_in_another_folder_is_the_same(path, tmp_path):
    (tmp_path / "other").mkdir()
    copy = path.rename(tmp_path / "other" / path.name)
    path.write_bytes(copy.read_bytes())
    assert await fingerprint(path) == await fingerprint(copy)


async def test_another_name_is_another_word(path, tmp_path):
    before = await fingerprint(tmp_path / "*.jsonl")
    path.rename(tmp_path / "b.jsonl")
    assert await fingerprint(tmp_path / "*.jsonl") != before


async def test_bytes_that_move_from_one_file_to_the_next_are_noticed(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"12")
    (tmp_path / "b.csv").write_bytes(b"3")
    before = await fingerprint(tmp_path / "*.csv")
    (tmp_path / "a.csv").write_bytes(b"1")
    (tmp_path / "b.csv").write_bytes(b"23")
    assert await fingerprint(tmp_path / "*.csv") != before


@pytest.mark.parametrize("source", [jsonl, csv, files])
async def test_every_source_of_files_goes_by_contents(source, path):
    before = await source(path=path).fingerprint()
    os.utime(path, (1, 1))
    assert await source(path=path).fingerprint() == before
    path.write_bytes(b"1" * (SIZE - 1) + b"2")
    assert await source(path=path).fingerprint() != before
