"""A key is found wherever a run has asked about it, and told apart from every other."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.builtin.stores.memory import memory_blobs
from batchflow.model.state import Batch
from batchflow.reports import trail
from batchflow.reports.trail import Tracker
from batchflow.stages.context import Row
from batchflow.stages.objects import LinesWriter

KEYS = st.text(max_size=3) | st.sampled_from(['"', '",', "[", "\\", "é", "\n", "a,b"])


async def context_of(blobs, rows):
    async with blobs.create("run/batch/context") as made:
        writer = LinesWriter(made)
        await writer.write_values([msgspec.json.encode(row) for row in rows])
        return await writer.finish()


@given(st.lists(KEYS, min_size=1, max_size=40), KEYS)
async def test_all_rows_of_a_key_are_found_and_no_other(keys, wanted):
    blobs = memory_blobs()
    rows = [Row(key, f"in:{number}", 1, {"n": number}) for number, key in enumerate(keys)]
    batch = Batch(id="b", run="r", context=await context_of(blobs, rows), count=len(rows), bytes=0, reserved=0)
    found = [one async for one in Tracker(None, blobs, None, None)._rows(batch, wanted)]
    assert found == [(number, row) for number, row in enumerate(rows) if row.key == wanted]


@pytest.mark.parametrize(
    ("bits", "row", "is_in"),
    [(b"\x05", 0, True), (b"\x05", 1, False), (b"\x05", 2, True), (b"", 9, False), (b"\x00\x80", 15, True)],
)
def test_a_row_is_in_a_bitmap_or_not(bits, row, is_in):
    assert trail._has(bits, row) is is_in
