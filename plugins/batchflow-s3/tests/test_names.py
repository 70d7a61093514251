"""Keys are made of names: the same every time, never two of one, and good in any place where keys are written."""

import re

import pytest
from batchflow_s3.names import folder_in, folder_of, key_of
from batchflow_s3.sink import s3 as into_s3
from batchflow_s3.source import s3 as from_s3
from hypothesis import given
from hypothesis import strategies as st

steps = st.text(alphabet="ab/._-=~ \u00e9\n", max_size=8) | st.text(max_size=300)


@given(st.lists(steps, unique=True, min_size=2, max_size=30))
def test_two_parts_never_have_one_key(names):
    run = "a"
    keys = {key_of("x/", run, name, "jsonl") for name in [*names, *(f"a/{name}" for name in names)]}
    assert len(keys) == len({*names, *(f"a/{name}" for name in names)})


@given(steps, steps, steps)
def test_a_key_is_short_and_plain_and_stays_in_its_folder(run, sink, part):
    folder = folder_in(folder_of("lake/", run), sink)
    key = key_of(folder, run, part, "csv.gz")
    assert key.startswith(folder)
    assert re.fullmatch(r"lake/[\w.-]+/[\w.-]+/[\w.=-]+\.csv\.gz", key, re.ASCII)
    assert len(key) < 650
    assert not key.removeprefix(folder).startswith(("_", "."))


def test_the_names_that_the_engine_gives_can_be_read():
    folder = folder_in(folder_of("lake/", "0199-run"), "s3")
    assert folder == "lake/0199-run/s3/"
    assert key_of(folder, "0199-run", "0199-run/0199-batch/s3/2", "jsonl") == "lake/0199-run/s3/0199-batch.s3.2.jsonl"


@pytest.mark.parametrize(
    ("source", "sink", "reads"),
    [
        ("s3://lake/", "s3://lake/out", True),
        ("s3://lake/out/**/*.jsonl", "s3://lake/out", True),
        ("s3://lake/in/", "s3://lake/out", False),
        ("s3://lake/out/**/*.csv", "s3://lake/out", False),
        ("s3://lake/out/*.jsonl", "s3://lake/out", False),
        ("s3://other/", "s3://lake/out", False),
    ],
)
def test_a_source_knows_which_sinks_would_write_what_it_reads(source, sink, reads):
    [target] = into_s3(url=sink).targets()
    assert from_s3(url=source).covers(target) is reads
    assert not from_s3(url=source, endpoint_url="http://other").covers(target)
