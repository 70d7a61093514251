"""The tests that every source must pass: subclass `SourceContract`, say how a place is filled, and run pytest.

    class TestJsonl(SourceContract):
        @pytest.fixture
        def place(self, tmp_path):
            return JsonlFile(tmp_path / "in.jsonl")

A `Place` is where a source reads from: a file, a table, a queue. The records of these tests have an `id`, which must become
the key, and a `text`, which must be in the data unchanged. They come in the order of their ids.
"""

import gc
import json
import os
import sys
import tracemalloc
import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol, TypeAlias, cast, runtime_checkable

import anyio
import anyio.lowlevel
import pytest

from batchflow.model.errors import SourceError
from batchflow.model.record import Cursor, Idle, Page, Record, Unreadable
from batchflow.ports.source import Acknowledging, Described, PlainSource, Source
from batchflow.stages.plain import awaited_source

Given: TypeAlias = Mapping[str, str]
"""One record as it is put into a place: an `id` and a `text`."""


class Place(Protocol):
    """Where a source reads from."""

    def fill(self, records: Sequence[Given]) -> None:
        """Puts exactly these records there, in this order, in place of what was there."""
        ...

    def source(self) -> Source | PlainSource:
        """Makes a new source that reads from there."""
        ...


@runtime_checkable
class Spoilable(Protocol):
    """A place that can hold something that is no record."""

    def spoil(self, records: Sequence[Given]) -> int:
        """Fills the place with bad places among the records, and tells how many."""
        ...


@runtime_checkable
class Removable(Protocol):
    """A place that can be missing."""

    def remove(self) -> None:
        """Takes it away."""
        ...


def given(count: int, *, size: int = 100) -> list[Given]:
    """Makes records to fill a place with."""
    return [{"id": f"r{number:06}", "text": f"{number} ".ljust(size, "x")} for number in range(count)]


def source_of(place: Place) -> Source:
    """Makes a new source as an engine uses it: one without `async` has a thread of its own."""
    return awaited_source(place.source())


async def pages_of(source: Source, after: Cursor | None = None) -> list[Page]:
    """Reads to the end."""
    pages: list[Page] = []
    async for page in source.read(after):
        assert not isinstance(page, Idle), "a source with an end stops iterating and never idles"
        pages.append(page)
    return pages


async def items_of(source: Source, after: Cursor | None = None) -> list[Record | Unreadable]:
    """Reads every item."""
    return [item for page in await pages_of(source, after) for item in page.items]


def told(items: Sequence[Record | Unreadable]) -> list[Given]:
    """Shows what records say, in the form in which they were given."""
    return [{"id": item.key, "text": item.data["text"]} for item in items if isinstance(item, Record)]


async def first_page(source: Source) -> Page:
    """Reads one page and closes the source."""
    async with aclosing(_closable(source, None)) as pages:
        async for page in pages:
            assert isinstance(page, Page)
            return page
    raise AssertionError("the source is empty")


def _closable(source: Source, after: Cursor | None) -> AsyncGenerator[Page | Idle]:
    """`read` promises an iterator; a source that holds something open must also let itself be closed."""
    pages = source.read(after)
    assert hasattr(pages, "aclose"), "`read` is best an async generator: whoever stops early must be able to close it"
    return cast("AsyncGenerator[Page | Idle]", pages)


def _descriptors() -> int:
    return len(os.listdir("/dev/fd")) if sys.platform != "win32" else 0  # noqa: PTH208 -- a folder that is no folder


class SourceContract:
    """What engines rely on. Give a `place` fixture; say `fingerprinted = False` where edits cannot be told."""

    fingerprinted = True

    @pytest.fixture
    def place(self) -> Place:
        """Where the source under test reads from."""
        raise NotImplementedError("give a `place` fixture in the subclass")

    async def test_it_keeps_the_protocol(self, place: Place) -> None:
        place.fill(given(1))
        assert isinstance(source_of(place), Source)

    async def test_every_record_comes_once_and_in_order(self, place: Place) -> None:
        place.fill(given(1234))
        assert told(await items_of(source_of(place))) == given(1234)

    async def test_a_single_record_comes(self, place: Place) -> None:
        place.fill(given(1))
        assert told(await items_of(source_of(place))) == given(1)

    async def test_an_empty_place_yields_nothing(self, place: Place) -> None:
        place.fill([])
        assert await items_of(source_of(place)) == []

    async def test_every_record_says_where_it_stands(self, place: Place) -> None:
        place.fill(given(50))
        origins = [item.origin for item in await items_of(source_of(place))]
        assert all(origins)
        assert len(set(origins)) == 50

    async def test_two_readings_are_the_same(self, place: Place) -> None:
        place.fill(given(700))
        source = source_of(place)
        assert await items_of(source) == await items_of(source)

    async def test_two_sources_at_one_place_read_the_same(self, place: Place) -> None:
        place.fill(given(700))
        assert await items_of(source_of(place)) == await items_of(source_of(place))

    async def test_two_readings_at_the_same_time_do_not_disturb_each_other(self, place: Place) -> None:
        place.fill(given(3000, size=400))
        source = source_of(place)
        whole = await items_of(source)
        async with aclosing(_closable(source, None)) as one, aclosing(_closable(source, None)) as other:
            seen: list[Record | Unreadable] = []
            async for page in one:
                assert isinstance(page, Page)
                seen += page.items
                await anext(other, None)
        assert seen == whole

    async def test_reading_goes_on_from_every_cursor(self, place: Place) -> None:
        place.fill(given(2500, size=300))
        pages = await pages_of(source_of(place))
        left = [item for page in pages for item in page.items]
        for page in pages:
            left = left[len(page.items) :]
            assert await items_of(source_of(place), page.cursor) == left

    async def test_cursors_of_a_resumed_reading_hold_too(self, place: Place) -> None:
        place.fill(given(2500, size=300))
        source = source_of(place)
        whole = await items_of(source)
        seen: list[Record | Unreadable] = []
        cursor: Cursor | None = None
        while pages := await pages_of(source_of(place), cursor):
            seen += pages[0].items
            cursor = pages[0].cursor
        assert seen == whole

    async def test_an_older_cursor_is_good_after_a_newer_one(self, place: Place) -> None:
        place.fill(given(2500, size=300))
        source = source_of(place)
        pages = await pages_of(source)
        await pages_of(source, pages[-1].cursor)
        assert await items_of(source, pages[0].cursor) == [item for page in pages[1:] for item in page.items]

    async def test_nothing_follows_the_last_cursor(self, place: Place) -> None:
        place.fill(given(10))
        pages = await pages_of(source_of(place))
        assert await items_of(source_of(place), pages[-1].cursor) == []

    async def test_cursors_survive_being_written_as_json(self, place: Place) -> None:
        place.fill(given(1500, size=300))
        for page in await pages_of(source_of(place)):
            again = json.loads(json.dumps(page.cursor))
            assert again == page.cursor
            assert await items_of(source_of(place), again) == await items_of(source_of(place), page.cursor)

    async def test_reading_goes_on_behind_any_item_of_a_page_that_has_cursors_inside(self, place: Place) -> None:
        place.fill(given(40))
        pages = await pages_of(source_of(place))
        left = [item for page in pages for item in page.items]
        for page in pages:
            if page.behind is not None:
                assert callable(page.behind), "`behind` is asked with a number of items: it is a function"
                for count in sorted(
                    {*range(1, min(4, len(page.items))), len(page.items) // 2, len(page.items) - 1} - {0}
                ):
                    cursor = page.behind(count)
                    assert cursor is None or (type(cursor) is dict and json.loads(json.dumps(cursor)) == cursor)
                    assert cursor is None or await items_of(source_of(place), cursor) == left[count:], f"behind {count}"
            left = left[len(page.items) :]

    async def test_reading_leaves_a_cursor_as_it_is(self, place: Place) -> None:
        place.fill(given(10))
        cursor = (await pages_of(source_of(place)))[0].cursor
        before = json.dumps(cursor)
        await pages_of(source_of(place), cursor)
        assert json.dumps(cursor) == before

    async def test_pages_are_small(self, place: Place) -> None:
        place.fill(given(5000, size=500))
        pages = await pages_of(source_of(place))
        assert max(len(page.items) for page in pages) <= 2000
        assert min(len(page.items) for page in pages) >= 1, "a page of nothing is a commit for nothing"

    async def test_the_whole_is_never_held(self, place: Place) -> None:
        place.fill(given(8000, size=2000))
        source = source_of(place)
        await first_page(source)
        tracemalloc.start()
        try:
            async for page in source.read(None):
                assert isinstance(page, Page)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8_000_000, "16 MB were read; a page or two may be held"

    async def test_no_more_is_read_than_is_asked_for(self, place: Place) -> None:
        place.fill(given(8000, size=2000))
        source = source_of(place)
        await first_page(source)
        tracemalloc.start()
        try:
            async with aclosing(_closable(source, None)) as pages:
                await anext(pages)
                for _ in range(200):
                    await anyio.lowlevel.checkpoint()
                _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8_000_000, "nobody asked for a second page; one or two may be read ahead"

    @pytest.mark.parametrize(
        "id", ["Grüße 世界 🌍", "a 'quoted' \"id\"", "e\u0301"], ids=["unicode", "quotes", "combining"]
    )
    async def test_a_key_comes_through_unchanged(self, place: Place, id: str) -> None:
        place.fill([{"id": id, "text": "x"}])
        assert told(await items_of(source_of(place))) == [{"id": id, "text": "x"}]

    @pytest.mark.parametrize(
        "text",
        ["Grüße, 世界 🌍", "two\nlines", "carriage\r\nreturn", 'a "quoted", word; a\ttab', "{{ not.a.template }}", " spaces ", "back\\slash", "e\u0301\u2028\u2029\x85"],
        ids=["unicode", "newline", "crlf", "quotes", "braces", "spaces", "backslash", "separators"],
    )  # fmt: skip
    async def test_text_comes_through_unchanged(self, place: Place, text: str) -> None:
        records: list[Given] = [{"id": "a", "text": "before"}, {"id": "b", "text": text}, {"id": "c", "text": "after"}]
        place.fill(records)
        assert told(await items_of(source_of(place))) == records

    async def test_a_huge_record_comes_through(self, place: Place) -> None:
        records: list[Given] = [
            {"id": "a", "text": "x"},
            {"id": "b", "text": "ü" * 3_000_000},
            {"id": "c", "text": "y"},
        ]
        place.fill(records)
        assert told(await items_of(source_of(place))) == records

    async def test_reading_goes_on_behind_a_huge_record(self, place: Place) -> None:
        records: list[Given] = [
            {"id": "a", "text": "x"},
            {"id": "b", "text": "z" * 3_000_000},
            {"id": "c", "text": "y"},
        ]
        place.fill(records)
        seen = 0
        for page in await pages_of(source_of(place)):
            seen += len(page.items)
            assert told(await items_of(source_of(place), page.cursor)) == records[seen:]

    async def test_a_source_that_is_closed_early_lets_go(self, place: Place) -> None:
        place.fill(given(3000, size=400))
        await first_page(source_of(place))  # whatever is made once, like worker threads, is there now
        before = _descriptors()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await first_page(source_of(place))
            gc.collect()
        assert _descriptors() <= before

    async def test_a_reading_may_be_closed_twice(self, place: Place) -> None:
        place.fill(given(3000, size=400))
        pages = _closable(source_of(place), None)
        await anext(pages)
        await pages.aclose()
        await pages.aclose()
        assert await anext(pages, None) is None

    async def test_a_source_can_be_read_after_being_closed_early(self, place: Place) -> None:
        place.fill(given(3000, size=400))
        source = source_of(place)
        await first_page(source)
        assert told(await items_of(source)) == given(3000, size=400)

    async def test_a_source_that_is_canceled_lets_go(self, place: Place) -> None:
        place.fill(given(3000, size=400))
        source = source_of(place)
        await first_page(source)
        before = _descriptors()
        with anyio.CancelScope() as scope:
            async with aclosing(_closable(source, None)) as pages:
                async for _ in pages:
                    scope.cancel()
        assert scope.cancelled_caught
        assert told(await items_of(source)) == given(3000, size=400)
        assert _descriptors() <= before

    async def test_making_a_source_touches_nothing(self, place: Place) -> None:
        if not isinstance(place, Removable):
            pytest.skip("this place cannot be missing")
        place.fill(given(1))
        place.remove()
        assert source_of(place)

    async def test_a_missing_place_is_a_source_error_that_helps(self, place: Place) -> None:
        if not isinstance(place, Removable):
            pytest.skip("this place cannot be missing")
        place.fill(given(1))
        place.remove()
        with pytest.raises(SourceError) as caught:
            await items_of(source_of(place))
        assert caught.value.hint

    async def test_bad_places_are_counted_and_cost_no_record(self, place: Place) -> None:
        if not isinstance(place, Spoilable):
            pytest.skip("this place cannot hold anything but records")
        bad = place.spoil(given(40))
        items = await items_of(source_of(place))
        assert told(items) == given(40)
        assert len(items) == 40 + bad

    async def test_bad_places_say_where_they_are_and_what_is_wrong(self, place: Place) -> None:
        if not isinstance(place, Spoilable):
            pytest.skip("this place cannot hold anything but records")
        place.spoil(given(40))
        bad = [item for item in await items_of(source_of(place)) if isinstance(item, Unreadable)]
        assert all(item.origin and item.reason for item in bad)

    async def test_reading_goes_on_behind_bad_places(self, place: Place) -> None:
        if not isinstance(place, Spoilable):
            pytest.skip("this place cannot hold anything but records")
        place.spoil(given(1500, size=300))
        pages = await pages_of(source_of(place))
        left = [item for page in pages for item in page.items]
        for page in pages:
            left = left[len(page.items) :]
            assert await items_of(source_of(place), page.cursor) == left

    async def test_the_fingerprint_stays(self, place: Place) -> None:
        place.fill(given(30))
        source = source_of(place)
        before = await source.fingerprint()
        await items_of(source)
        assert await source.fingerprint() == before
        assert await source_of(place).fingerprint() == before

    async def test_the_fingerprint_is_there_or_it_is_not(self, place: Place) -> None:
        place.fill(given(3))
        assert (await source_of(place).fingerprint() is not None) == self.fingerprinted

    @pytest.mark.parametrize("edit", ["appended", "removed", "edited", "swapped"])
    async def test_the_fingerprint_changes_with_the_records(self, place: Place, edit: str) -> None:
        if not self.fingerprinted:
            pytest.skip("this source cannot tell edits")
        records = given(30)
        edited: dict[str, list[Given]] = {
            "appended": given(31),
            "removed": given(29),
            "edited": [*records[:15], {**records[15], "text": records[15]["text"].replace("x", "y")}, *records[16:]],
            "swapped": [{"id": record["id"], "text": text} for record, text in zip(records, [record["text"] for record in reversed(records)], strict=True)],
        }  # fmt: skip
        place.fill(records)
        before = await source_of(place).fingerprint()
        place.fill(edited[edit])
        assert await source_of(place).fingerprint() != before

    async def test_declared_columns_are_in_every_record(self, place: Place) -> None:
        place.fill(given(5))
        source = source_of(place)
        columns = await source.columns() if isinstance(source, Described) else None
        if columns is None:
            pytest.skip("this source does not know its columns before it is read")
        assert "text" in columns
        for item in await items_of(source):
            assert isinstance(item, Record)
            assert columns <= item.data.keys()

    async def test_being_told_twice_what_is_safe_is_no_error(self, place: Place) -> None:
        place.fill(given(5))
        source = source_of(place)
        if not isinstance(source, Acknowledging):
            pytest.skip("this source does not want to know")
        keys = [item.key for item in await items_of(source)]
        await source.committed(keys)
        await source.committed(keys)

    async def test_being_told_while_reading_loses_no_record(self, place: Place) -> None:
        place.fill(given(3000, size=400))
        source = source_of(place)
        if not isinstance(source, Acknowledging):
            pytest.skip("this source does not want to know")
        seen: list[Record | Unreadable] = []
        async for page in source.read(None):
            assert isinstance(page, Page)
            seen += page.items
            await source.committed([item.key for item in page.items])
        assert told(seen) == given(3000, size=400)
