"""The folder itself: what is private, what a killed writer leaves, what damage and a full disk look like."""

import stat
import subprocess
import sys

import pytest

from batchflow.builtin.stores.drafts import UNFINISHED
from batchflow.builtin.stores.folder import folder
from batchflow.model.errors import Bug, ObjectDamaged, StoreUnavailable
from batchflow.testing.blobs import BIG, names, put, read


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "objects"


@pytest.fixture
def store(path):
    return folder(path=path)


def drafts(path):
    return list((path / UNFINISHED).iterdir())


def python(program, *args):
    return subprocess.Popen([sys.executable, "-c", program, *map(str, args)], stdout=subprocess.PIPE, text=True)


def test_making_a_store_touches_no_disk(store, path):
    assert store
    assert not path.parent.exists()


async def test_reading_and_listing_make_no_folder(store, path):
    assert await names(store) == []
    await store.delete("a")
    assert not path.parent.exists()


async def test_folders_and_objects_are_private_and_out_of_git(store, path):
    await put(store, b"secret", "run/batch/requests")
    for made in (path.parent, path, path / "run", path / "run" / "batch"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "run" / "batch" / "requests").stat().st_mode) == 0o600
    assert (path.parent / ".gitignore").read_text() == "*\n"


async def test_an_object_is_a_plain_file_of_its_bytes(store, path):
    await put(store, BIG, "a/b")
    assert (path / "a" / "b").read_bytes() == BIG


async def test_a_finished_object_leaves_no_draft(store, path):
    await put(store, BIG)
    assert drafts(path) == []


async def test_a_draft_that_was_given_up_is_removed(store, path):
    async with store.create("a") as writer:
        await writer.write(BIG)
        assert len(drafts(path)) == 1
    assert drafts(path) == []


async def test_a_finished_object_cannot_be_written_on(store):
    async with store.create("a") as writer:
        await writer.finish()
        with pytest.raises(Bug, match="finished"):
            await writer.finish()
        with pytest.raises(Bug, match="finished"):
            await writer.write(BIG)


async def test_whatever_else_lies_about_is_not_ours(store, path):
    await put(store, b"", "a")
    (path / "NOTES.txt").touch()
    (path / ".DS_Store").touch()
    assert await names(store) == ["a"]


async def test_more_names_than_one_look_can_hold_are_all_listed(store, path):
    await put(store, b"", "run/0")
    for n in range(1, 2_500):
        (path / "run" / f"{n}").touch()
    assert len(await names(store)) == 2_500


async def test_a_shortened_file_is_damaged_and_says_where_it_lies(store, path):
    blob = await put(store, BIG, "a")
    (path / "a").write_bytes(BIG[:-1])
    with pytest.raises(ObjectDamaged, match=rf"object a is damaged: {path}/a has {len(BIG) - 1} bytes, and {len(BIG)}"):
        await read(store, blob)


async def test_a_removed_file_is_missing_and_says_where_it_lay(store, path):
    blob = await put(store, BIG, "a")
    (path / "a").unlink()
    with pytest.raises(ObjectDamaged, match=rf"object a is missing: there is nothing at {path}/a") as missing:
        await read(store, blob)
    assert "copy of the state folder" in missing.value.hint


async def test_a_folder_in_the_way_says_so(store, path):
    await put(store, b"", "a/b")
    with pytest.raises(StoreUnavailable, match=rf"{path}/a could not be used"):
        await put(store, b"", "a")
    assert drafts(path) == []


WRITER = """
import anyio, sys
from pathlib import Path
from batchflow.builtin.stores.folder import folder

async def main():
    store = folder(path=Path(sys.argv[1]))
    n = 0
    while True:
        async with store.create(f"object-{n:06}") as writer:
            await writer.write(b"%06d" % n * 50_000)
            if len(sys.argv) > 2:
                print("writing", flush=True)
                await anyio.sleep_forever()
            blob = await writer.finish()
            print(blob.name, blob.size, blob.checksum, flush=True)
        n += 1

anyio.run(main)
"""


async def test_a_killed_writer_leaves_whole_objects_and_all_that_were_finished(store, path):
    child = python(WRITER, path)
    told = [child.stdout.readline().split()[0] for _ in range(20)]
    child.kill()
    told += [line.split()[0] for line in child.stdout.read().splitlines()]
    child.communicate()
    found = await names(store)
    assert told == found[: len(told)]
    assert len(found) <= len(told) + 1
    for n, name in enumerate(found):
        assert (path / name).read_bytes() == b"%06d" % n * 50_000


async def test_the_draft_of_a_killed_writer_is_swept_by_the_next(store, path):
    child = python(WRITER, path, "and wait")
    assert child.stdout.readline() == "writing\n"
    assert len(drafts(path)) == 1
    child.kill()
    child.communicate()
    await put(store, b"", "mine")
    assert drafts(path) == []
    assert await names(store) == ["mine"]


async def test_the_draft_of_a_living_writer_is_left_alone(store, path):
    child = python(WRITER, path, "and wait")
    assert child.stdout.readline() == "writing\n"
    await put(store, b"", "mine")
    assert len(drafts(path)) == 1
    child.kill()
    child.communicate()


FULL = """
import anyio, resource, sys
from pathlib import Path
from batchflow.builtin.stores.drafts import UNFINISHED
from batchflow.builtin.stores.folder import folder
from batchflow.model.errors import StoreUnavailable

path, where = Path(sys.argv[1]), sys.argv[2]

async def fill(store):
    async with store.create("a") as writer:
        await writer.write(b"x" * 300_000 * (2 if where == "write" else 1))
        await writer.write(b"x" * 250_000)
        await writer.finish()

async def main():
    store = folder(path=path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
    try:
        await fill(store)
    except StoreUnavailable as full:
        assert "no room" in str(full) and str(path / "a") in str(full) and "ulimit" in full.hint, full
    else:
        raise AssertionError("nothing was noticed")
    assert [name async for name in store.list()] == []
    assert list((path / UNFINISHED).iterdir()) == []
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await fill(store)

anyio.run(main)
"""


@pytest.mark.parametrize("where", ["write", "finish"])
async def test_a_full_disk_leaves_no_half_object(store, path, where):
    child = python(FULL, path, where)
    child.communicate()
    assert child.returncode == 0
    assert await names(store) == ["a"]
