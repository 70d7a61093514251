"""Lines in objects: what goes in comes out, whole or line by line, and damage never passes for data."""

from array import array

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.stores.memory import memory_blobs
from batchflow.model.errors import ObjectDamaged
from batchflow.stages import objects
from batchflow.stages.objects import FRAME, LinesWriter, read_footer, read_frames, read_line

LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=40)
CHUNKS = st.lists(LINES, max_size=6)


async def stored(blobs, chunks, order=None):
    async with blobs.create("object") as blob:
        writer = LinesWriter(blob)
        for chunk in chunks:
            await writer.write_values(chunk)
        return await writer.finish(order)


async def frames_of(blobs, blob):
    return [lines async for lines in read_frames(blobs, blob, await read_footer(blobs, blob))]


@settings(max_examples=60)
@given(chunks=CHUNKS, frame=st.integers(min_value=1, max_value=200))
async def test_lines_come_back_in_order_whatever_the_chunks_and_frames(chunks, frame):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "FRAME", frame)
        blobs = memory_blobs()
        blob = await stored(blobs, chunks)
    lines = [line + b"\n" for chunk in chunks for line in chunk]
    frames = await frames_of(blobs, blob)
    footer = await read_footer(blobs, blob)
    assert [line for some in frames for line in some] == lines
    assert [await read_line(blobs, blob, footer, number) + b"\n" for number in range(len(lines))] == lines
    assert footer.lines == len(lines)
    assert footer.raw_bytes == sum(map(len, lines))
    assert all(sum(map(len, some)) - max(map(len, some)) <= 2 * frame for some in frames)


async def test_a_frame_holds_one_or_two_mebibytes_unless_one_line_is_larger():
    blobs = memory_blobs()
    chunks = [[b"a" * 1000] * 700] * 4 + [[b"a" * 1000] * 7000, [b"b" * (3 * FRAME)], [b"c"]]
    frames = await frames_of(blobs, await stored(blobs, chunks))
    sizes = [sum(map(len, some)) for some in frames]
    assert sizes[:4] == [1400 * 1001, 1400 * 1001, 2094 * 1001, 2094 * 1001]
    assert 3 * FRAME + 1 <= max(sizes) <= 4 * FRAME
    assert [line[:-1] for some in frames for line in some] == [line for chunk in chunks for line in chunk]


async def test_the_row_of_each_line_is_kept():
    blobs = memory_blobs()
    blob = await stored(blobs, [[b"x", b"y"]], array("I", [1, 0]))
    assert (await read_footer(blobs, blob)).order() == array("I", [1, 0])


async def test_an_object_is_a_zstd_file_to_everybody_else():
    blobs = memory_blobs()
    blob = await stored(blobs, [[b"one", b"two"]])
    content = b"".join([piece async for piece in blobs.read(blob)])
    with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as reader:
        assert reader.read() == b"one\ntwo\n"


@pytest.mark.parametrize("place", [0, 12, -1, -6, -12])
async def test_a_changed_byte_is_found_before_a_line_is_given_away(place):
    blobs = memory_blobs()
    blob = await stored(blobs, [[b"line %d" % number for number in range(100)]])
    content = bytearray(b"".join([piece async for piece in blobs.read(blob)]))
    content[place] ^= 0x55
    async with blobs.create("spoilt") as writer:
        await writer.write(bytes(content))
        spoilt = await writer.finish()
    with pytest.raises(ObjectDamaged):
        await frames_of(blobs, spoilt)


async def test_a_line_that_is_not_there_is_damage():
    blobs = memory_blobs()
    blob = await stored(blobs, [[b"only"]])
    with pytest.raises(ObjectDamaged, match="no line 1"):
        await read_line(blobs, blob, await read_footer(blobs, blob), 1)


async def test_what_is_no_object_of_ours_is_said_to_have_no_footer():
    blobs = memory_blobs()
    async with blobs.create("foreign") as writer:
        await writer.write(b"hello")
        blob = await writer.finish()
    with pytest.raises(ObjectDamaged, match="no footer"):
        await read_footer(blobs, blob)
