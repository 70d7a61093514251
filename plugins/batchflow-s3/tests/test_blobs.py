"""The blob store against every promise of one, on a real server; and what only buckets do."""

import pytest
from batchflow_s3.blobs import s3
from buckets import PREFIX, Objects, connected, spoil
from gallows import Gallows
from servers import LISTED

from batchflow.plugin import ObjectDamaged, StoreUnavailable
from batchflow.testing.blobs import BIG, names, put, read

HUGE = BIG * 10


class TestInBucket(Objects):
    listed = LISTED

    """On moto."""


@pytest.fixture
async def store(shelf):
    handle = connected(shelf)
    yield handle
    await handle.close()


async def test_a_large_object_goes_up_in_parts_and_leaves_no_upload(shelf, store):
    blob = await put(store, HUGE, "a/b")
    assert shelf.head(f"{PREFIX}a/b")["ETag"].strip('"').endswith("-3")
    assert await read(store, blob) == HUGE
    async with store.create("a/c") as writer:
        await writer.write(HUGE)
        assert shelf.uploads() == [f"{PREFIX}a/c"]
    assert shelf.uploads() == []
    assert shelf.names() == [f"{PREFIX}a/b"]


async def test_what_is_no_object_of_ours_is_not_listed(shelf, store):
    await put(store, b"", "a/b")
    for key in (f"{PREFIX}A/B", PREFIX, f"{PREFIX}.x", "state/objects2/x"):
        shelf.put(key, b"")
    assert await names(store) == ["a/b"]


async def test_a_body_that_breaks_off_is_gone_on_with(shelf, store):
    blob = await put(store, HUGE)
    with Gallows(shelf.url) as broken:
        broken.cut = 1_000_000
        handle = connected(shelf, broken.url)
        assert await read(handle, blob) == HUGE
        assert await read(handle, blob, start=5, length=3_000_000) == HUGE[5:3_000_005]
        await handle.close()
    assert len(broken.calls) > 12


async def test_an_object_that_is_replaced_while_it_is_read_is_damaged(shelf, store):
    blob = await put(store, HUGE)
    with Gallows(shelf.url) as broken:
        broken.cut = 1_000_000
        handle = connected(shelf, broken.url)
        pieces = handle.read(blob)
        await anext(pieces)
        spoil(shelf, blob.name, 5)
        with pytest.raises(ObjectDamaged, match="has been changed or cut short"):
            [None async for _ in pieces]
        await handle.close()


async def test_damage_says_where_and_what_to_do(shelf, store):
    blob = await put(store, BIG)
    shelf.put(PREFIX + blob.name, BIG[:-1])
    with pytest.raises(
        ObjectDamaged, match=f"s3://{shelf.bucket}/{PREFIX}{blob.name} has {len(BIG) - 1} bytes"
    ) as caught:
        await read(store, blob)
    assert "older version" in caught.value.hint
    shelf.delete(PREFIX + blob.name)
    with pytest.raises(ObjectDamaged, match="is not there"):
        await read(store, blob)


async def test_a_bucket_that_is_not_there_is_unavailable_and_not_damage(shelf):
    handle = s3(url="s3://nobody-has-this/", endpoint_url=shelf.url, path_style=True)
    with pytest.raises(StoreUnavailable, match=r"cannot write s3://nobody-has-this/a: .*NoSuchBucket"):
        await put(handle, b"x", "a")
    with pytest.raises(StoreUnavailable, match=r"cannot list s3://nobody-has-this/: .*NoSuchBucket"):
        await names(handle)
    await handle.close()
