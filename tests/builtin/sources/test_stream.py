"""Opening files: compressed ones, damaged ones, and places in them."""

import gzip

import pytest
import zstandard

from batchflow.builtin.sources.jsonl import jsonl
from batchflow.builtin.sources.stream import opened
from batchflow.builtin.sources.tree import Found
from batchflow.model.errors import SourceError
from batchflow.testing.source import items_of, pages_of

LINES = b"".join(b'{"id":"%d","text":"%b"}\n' % (number, str(number * 7919).encode() * 40) for number in range(3000))


def packed(suffix: str) -> bytes:
    half = len(LINES) // 2
    match suffix:
        case "gz":
            return gzip.compress(LINES[:half]) + gzip.compress(LINES[half:])
        case "zst":
            pack = zstandard.ZstdCompressor(write_checksum=True).compress
            skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
            return pack(LINES[:half]) + skippable + pack(b"") + pack(LINES[half:])
        case _:
            return LINES


@pytest.mark.parametrize("suffix", ["jsonl", "gz", "zst"])
async def test_a_file_of_several_parts_is_read_whole_and_from_every_cursor(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(packed(suffix))
    source = jsonl(path=path, key="id")
    pages = await pages_of(source)
    left = [item for page in pages for item in page.items]
    assert [item.key for item in left] == [str(number) for number in range(3000)]
    for page in pages:
        left = left[len(page.items) :]
        assert await items_of(source, page.cursor) == left


@pytest.mark.parametrize("suffix", ["gz", "zst"])
@pytest.mark.parametrize("damage", ["cut off", "other bytes", "flipped", "trailing"])
async def test_a_damaged_file_is_an_error_that_names_it_and_never_a_quiet_end(suffix, damage, tmp_path):
    path, whole = tmp_path / f"a.{suffix}", packed(suffix)
    damaged = {
        "cut off": whole[: len(whole) * 3 // 4],
        "other bytes": LINES,
        "flipped": whole[:-300] + bytes([whole[-300] ^ 255]) + whole[-299:],
        "trailing": whole + b"junk",
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(SourceError, match=path.name) as caught:
        await items_of(jsonl(path=path, key="id"))
    assert caught.value.hint


def test_an_empty_compressed_file_is_an_empty_file(tmp_path):
    for name in ("a.zst", "a.gz"):
        path = tmp_path / name
        path.touch()
        with opened(Found(name, str(path))) as stream:
            assert stream.read(10) == b""


@pytest.mark.parametrize("suffix", ["jsonl", "gz", "zst"])
def test_reading_begins_at_any_byte(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(packed(suffix))
    for offset in (0, 1, 262_144, 300_001, len(LINES)):
        with opened(Found(path.name, str(path)), offset) as stream:
            assert stream.read(100) == LINES[offset : offset + 100]


@pytest.mark.parametrize("suffix", ["jsonl", "gz", "zst"])
def test_an_offset_behind_the_end_is_refused(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(packed(suffix))
    with pytest.raises(SourceError, match="shorter"), opened(Found(path.name, str(path)), len(LINES) + 1):
        pass
