"""The promises of a blob store, one small test each. Subclass `BlobStoreContract` and give it `connect` and `damage`."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from itertools import count
from typing import TypeAlias

import anyio
import anyio.lowlevel
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchflow.model.blob import Blob
from batchflow.model.errors import ObjectDamaged
from batchflow.ports.blobs import BlobStore

Connect: TypeAlias = Callable[[], BlobStore]
Damage: TypeAlias = Callable[[str, int], None]

KIB = 1024
NAME = "run-1/batch-1/requests"
BIG = b"".join(n.to_bytes(4, "big") for n in range(300 * KIB))
"""1.2 MiB in which no two places look alike: several pieces, the last of them not whole."""


async def put(store: BlobStore, data: bytes, name: str = NAME) -> Blob:
    """Writes an object in one go."""
    async with store.create(name) as writer:
        await writer.write(data)
        return await writer.finish()


async def read(store: BlobStore, blob: Blob, *, start: int = 0, length: int | None = None) -> bytes:
    """Reads an object, or a range of it."""
    return b"".join([piece async for piece in store.read(blob, start=start, length=length)])


async def names(store: BlobStore, prefix: str = "") -> list[str]:
    """Lists objects, in an order one can compare."""
    return sorted([name async for name in store.list(prefix)])


async def read_into(got: list[bytes], store: BlobStore, blob: Blob) -> None:
    """Reads, and keeps what came before an error."""
    async for piece in store.read(blob):
        got.append(piece)  # noqa: PERF401 - a comprehension would lose the pieces with the error


async def stumble(store: BlobStore, *, finished: bool) -> None:
    """Fails with an object in hand."""
    async with store.create(NAME) as writer:
        await writer.write(BIG)
        if finished:
            await writer.finish()
        raise ZeroDivisionError


class BlobStoreContract:
    """Everything `ports.blobs.BlobStore` promises."""

    pytestmark = pytest.mark.anyio
    listed = 1000
    """Names that your store's server lists in one reply at most: S3 and its like a thousand. Fewer make a quicker test."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def connect(self) -> Connect:
        """Gives a function that makes a handle on one and the same place: empty when the test begins."""
        raise NotImplementedError("give a fixture `connect` that makes a handle on your store")

    @pytest.fixture
    def damage(self) -> Damage:
        """Gives a function that changes the byte at an offset of a stored object, behind the store's back."""
        raise NotImplementedError("give a fixture `damage` that spoils one byte of a stored object")

    @pytest.fixture
    async def store(self, connect: Connect) -> AsyncGenerator[BlobStore]:
        handle = connect()
        yield handle
        await handle.close()

    @pytest.mark.parametrize("data", [b"", b"x", b"\x00" * 10, BIG], ids=["empty", "one", "zeros", "big"])
    async def test_what_was_written_comes_back(self, store: BlobStore, data: bytes) -> None:
        blob = await put(store, data)
        assert (blob.name, blob.size) == (NAME, len(data))
        assert await read(store, blob) == data

    async def test_an_object_without_a_write_is_empty(self, store: BlobStore) -> None:
        async with store.create(NAME) as writer:
            blob = await writer.finish()
        assert blob.size == 0
        assert await read(store, blob) == b""

    async def test_it_does_not_matter_how_the_bytes_were_cut(self, store: BlobStore) -> None:
        whole = await put(store, BIG, "whole")
        async with store.create("cut") as writer:
            for at in range(0, len(BIG), 100_003):
                await writer.write(BIG[at : at + 100_003])
            cut = await writer.finish()
        assert (cut.size, cut.checksum) == (whole.size, whole.checksum)

    async def test_many_tiny_writes_make_one_object(self, store: BlobStore) -> None:
        async with store.create(NAME) as writer:
            for n in range(20_000):
                await writer.write(b"%d\n" % n)
            blob = await writer.finish()
        assert (await read(store, blob)).splitlines() == [b"%d" % n for n in range(20_000)]

    async def test_other_bytes_have_another_checksum(self, store: BlobStore) -> None:
        assert (await put(store, b"one", "a")).checksum != (await put(store, b"two", "b")).checksum

    async def test_a_huge_object_is_streamed_in_small_pieces(self, store: BlobStore) -> None:
        async with store.create(NAME) as writer:
            for _ in range(16):
                await writer.write(BIG)
            blob = await writer.finish()
        sizes = [len(piece) async for piece in store.read(blob)]
        assert sum(sizes) == 16 * len(BIG)
        assert max(sizes) <= 1024 * KIB

    async def test_an_unfinished_object_is_invisible(self, store: BlobStore, connect: Connect) -> None:
        async with store.create(NAME) as writer:
            await writer.write(BIG)
            assert await names(store) == []
            assert await names(connect()) == []
            await writer.finish()
            assert await names(store) == [NAME]

    async def test_leaving_without_finishing_leaves_no_trace(self, store: BlobStore) -> None:
        async with store.create(NAME) as writer:
            await writer.write(BIG)
        assert await names(store) == []

    async def test_an_error_on_the_way_leaves_no_trace(self, store: BlobStore) -> None:
        with pytest.raises(ZeroDivisionError):
            await stumble(store, finished=False)
        assert await names(store) == []

    async def test_being_cancelled_on_the_way_leaves_no_trace(self, store: BlobStore) -> None:
        with anyio.CancelScope() as scope:
            async with store.create(NAME) as writer:
                await writer.write(BIG)
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        assert await names(store) == []

    async def test_an_error_after_finishing_changes_nothing(self, store: BlobStore) -> None:
        with pytest.raises(ZeroDivisionError):
            await stumble(store, finished=True)
        assert await names(store) == [NAME]

    async def test_a_name_can_be_tried_again_after_a_failure(self, store: BlobStore) -> None:
        async with store.create(NAME) as writer:
            await writer.write(b"first try")
        blob = await put(store, b"second try")
        assert await read(store, blob) == b"second try"

    async def test_a_finished_object_is_there_for_others_and_later(self, store: BlobStore, connect: Connect) -> None:
        blob = await put(store, BIG)
        assert await read(connect(), blob) == BIG
        await store.close()
        assert await read(connect(), blob) == BIG

    async def test_objects_in_the_making_do_not_mix(self, store: BlobStore) -> None:
        blobs: list[Blob] = []

        async def write(n: int) -> None:
            async with store.create(f"object-{n}") as writer:
                for _ in range(3):
                    await writer.write(bytes([n]) * 200 * KIB)
                blobs.append(await writer.finish())

        async with anyio.create_task_group() as group:
            for n in range(8):
                group.start_soon(write, n)
        for blob in blobs:
            assert set(await read(store, blob)) == {int(blob.name.removeprefix("object-"))}

    @pytest.mark.parametrize(
        ("start", "length"),
        [
            (0, 10),
            (5, 10),
            (256 * KIB - 1, 2),
            (len(BIG) - 3, 3),
            (7, None),
            (0, len(BIG)),
            (0, len(BIG) + 1),
            (len(BIG) - 3, 100),
            (len(BIG), 5),
            (len(BIG) + 9, None),
            (12, 0),
        ],
    )
    async def test_a_range_is_what_a_slice_would_be(self, store: BlobStore, start: int, length: int | None) -> None:
        blob = await put(store, BIG)
        expected = BIG[start:] if length is None else BIG[start : start + length]
        assert await read(store, blob, start=start, length=length) == expected

    async def test_a_missing_object_is_named(self, store: BlobStore) -> None:
        with pytest.raises(ObjectDamaged, match=NAME):
            await read(store, Blob(name=NAME, size=3, checksum="?"))

    async def test_a_range_of_a_missing_object_is_named_too(self, store: BlobStore) -> None:
        with pytest.raises(ObjectDamaged, match=NAME):
            await read(store, Blob(name=NAME, size=3, checksum="?"), start=1, length=1)

    @pytest.mark.parametrize("at", [0, len(BIG) // 2, len(BIG) - 1])
    async def test_a_damaged_byte_is_noticed_before_all_is_given_away(
        self, store: BlobStore, damage: Damage, at: int
    ) -> None:
        blob = await put(store, BIG)
        damage(NAME, at)
        got: list[bytes] = []
        with pytest.raises(ObjectDamaged, match=NAME):
            await read_into(got, store, blob)
        assert sum(map(len, got)) < blob.size

    @pytest.mark.parametrize("more", [-1, 1])
    async def test_an_object_of_another_size_is_damaged(self, store: BlobStore, more: int) -> None:
        blob = await put(store, BIG)
        with pytest.raises(ObjectDamaged, match=NAME):
            await read(store, msgspec.structs.replace(blob, size=blob.size + more))

    async def test_an_object_with_another_checksum_is_damaged(self, store: BlobStore) -> None:
        blob = await put(store, b"these are not")
        wanted = await put(store, b"those ones...", "wanted")
        with pytest.raises(ObjectDamaged, match=NAME):
            await read(store, msgspec.structs.replace(wanted, name=NAME))
        assert await read(store, blob) == b"these are not"

    async def test_two_may_read_at_once(self, store: BlobStore) -> None:
        blob = await put(store, BIG)
        one, two = store.read(blob), store.read(blob, start=3)
        assert (await anext(one))[3:100] == (await anext(two))[:97]
        await one.aclose()
        assert await anext(two)
        await two.aclose()

    async def test_reading_may_be_given_up(self, store: BlobStore) -> None:
        blob = await put(store, BIG)
        reading = store.read(blob)
        await anext(reading)
        await reading.aclose()
        await store.delete(NAME)
        assert await names(store) == []

    @pytest.mark.parametrize(
        ("prefix", "found"),
        [
            ("", ["a/b/1", "a/b/2", "a/bc", "b"]),
            ("a/", ["a/b/1", "a/b/2", "a/bc"]),
            ("a/b", ["a/b/1", "a/b/2", "a/bc"]),
            ("a/b/", ["a/b/1", "a/b/2"]),
            ("a/b/1", ["a/b/1"]),
            ("b", ["b"]),
            ("nobody/", []),
            ("a/nobody/", []),
            ("../", []),
        ],
    )
    async def test_names_are_listed_by_prefix(self, store: BlobStore, prefix: str, found: Sequence[str]) -> None:
        for name in ("b", "a/b/2", "a/bc", "a/b/1"):
            await put(store, b"", name)
        assert await names(store, prefix) == found

    async def test_more_names_than_fit_on_a_page_are_all_listed(self, store: BlobStore) -> None:
        wanted = [f"many/{n:04}" for n in range(self.listed + 1)]

        async def write(some: Sequence[str]) -> None:
            for name in some:
                await put(store, b"", name)

        async with anyio.create_task_group() as group:
            for n in range(8):
                group.start_soon(write, wanted[n::8])
        assert await names(store, "many/") == wanted

    async def test_an_empty_store_lists_nothing(self, store: BlobStore) -> None:
        assert await names(store) == []

    async def test_a_deleted_object_is_gone_and_its_neighbours_are_not(self, store: BlobStore) -> None:
        blob = await put(store, b"gone", "a/1")
        await put(store, b"stays", "a/2")
        await store.delete("a/1")
        assert await names(store) == ["a/2"]
        with pytest.raises(ObjectDamaged):
            await read(store, blob)

    async def test_deleting_what_is_not_there_is_no_error(self, store: BlobStore) -> None:
        await put(store, b"")
        await store.delete(NAME)
        await store.delete(NAME)
        await store.delete("never/was")

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../x", "a/../b", "/etc/x", "a//b", "a/", ".a", "A", "a b", "a\n", "ü"]
    )
    async def test_names_that_mean_different_things_in_different_places_are_refused(
        self, store: BlobStore, name: str
    ) -> None:
        with pytest.raises(ValueError, match="name"):
            await put(store, b"", name)
        with pytest.raises(ValueError, match="name"):
            await store.delete(name)

    async def test_closing_twice_is_no_error(self, connect: Connect) -> None:
        handle = connect()
        await put(handle, b"")
        await handle.close()
        await handle.close()

    @settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(
        cuts=st.lists(st.integers(0, 300 * KIB), max_size=6),
        start=st.integers(0, 1800 * KIB),
        length=st.none() | st.integers(0, 1800 * KIB),
    )
    async def test_any_range_of_anything_is_a_slice_of_it(
        self, store: BlobStore, fresh: Iterator[int], cuts: Sequence[int], start: int, length: int | None
    ) -> None:
        written = bytearray()
        async with store.create(f"object-{next(fresh)}") as writer:
            for n, cut in enumerate(cuts):
                piece = BIG[n : n + cut]
                written += piece
                await writer.write(piece)
            blob = await writer.finish()
        end = None if length is None else start + length
        assert await read(store, blob, start=start, length=length) == bytes(written[start:end])
        assert await read(store, blob) == bytes(written)

    @pytest.fixture
    def fresh(self) -> Iterator[int]:
        return count()
