"""Bytes that nobody will look at again soon are not kept in the system's memory."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from batchflow.builtin.disk import done_with
from batchflow.builtin.sinks.jsonl import jsonl
from batchflow.builtin.stores.folder import FolderBlobs
from batchflow.testing.blobs import put, read
from batchflow.testing.sink import context, part, result

pytestmark = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="only Linux tells what it has in memory")

BYTES = os.urandom(1 << 20)


def in_memory(path: Path) -> bool:
    """Tell whether the first page of a file can be had without the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(file, [bytearray(4096)], 0, os.RWF_NOWAIT) > 0
    except BlockingIOError:
        return False
    finally:
        os.close(file)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder where files usually are: other tests have theirs in memory."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def forgetful(tmp_path: Path) -> None:
    """Skip where files live in memory for good, as in a tmpfs."""
    path = tmp_path / "probe"
    path.write_bytes(BYTES)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        done_with(file.fileno(), 0, len(BYTES))
    if in_memory(path):
        pytest.skip("this file system forgets nothing")


async def test_an_object_stays_in_memory_until_it_was_read_whole(tmp_path: Path) -> None:
    store = FolderBlobs(tmp_path)
    blob = await put(store, BYTES, "a")
    assert in_memory(tmp_path / "a")
    async for _ in store.read(blob, start=4096, length=10):
        pass
    assert in_memory(tmp_path / "a")
    assert await read(store, blob) == BYTES
    assert not in_memory(tmp_path / "a")
    assert await read(store, blob) == BYTES


async def test_a_part_that_was_put_into_the_output_makes_room(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = jsonl(path=path, fields={"text": "text"})
    await sink.open(context(), None)
    await sink.write(part("one", [result("a", text="x" * 200_000)]))
    await sink.close()
    assert not in_memory(path)
    assert len(path.read_bytes()) > 200_000
