"""A key is found by its hash, and told apart from another with the same hash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.builtin.stores.memory import memory_blobs
from batchflow.reports import trail
from batchflow.reports.trail import _looked_up
from batchflow.stages.pack import key_hash


async def index_of(blobs, entries):
    async with blobs.create("run/batch/index") as writer:
        await writer.write(b"".join(sorted(hash + row.to_bytes(4, "big") for hash, row in entries)))
        return await writer.finish()


@given(st.lists(st.text(max_size=3), min_size=1, max_size=40), st.text(max_size=3))
async def test_a_look_up_finds_all_rows_of_a_key_and_no_other(keys, wanted):
    blobs = memory_blobs()
    index = await index_of(blobs, [(key_hash(key), row) for row, key in enumerate(keys)])
    rows = await _looked_up(blobs, index, key_hash(wanted))
    assert sorted(rows) == [row for row, key in enumerate(keys) if key == wanted]


async def test_an_empty_index_knows_nothing():
    blobs = memory_blobs()
    index = await index_of(blobs, [])
    assert await _looked_up(blobs, index, key_hash("k")) == []


@pytest.mark.parametrize(
    ("bits", "row", "is_in"),
    [(b"\x05", 0, True), (b"\x05", 1, False), (b"\x05", 2, True), (b"", 9, False), (b"\x00\x80", 15, True)],
)
def test_a_row_is_in_a_bitmap_or_not(bits, row, is_in):
    assert trail._has(bits, row) is is_in
