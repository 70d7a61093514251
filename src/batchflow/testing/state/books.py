"""Counters change with what they count, and caps are judged by the books as they would become."""

import anyio
import pytest

from batchflow.model.change import Cap, Count, Note, Put
from batchflow.model.errors import OverCap, Stale
from batchflow.model.state import COUNTERS, Batch, Event
from batchflow.ports.state import StateStore
from batchflow.testing.samples import RUN, a_batch, after, an_event
from batchflow.testing.state.connect import Connect


class BooksContract:
    """Counting, and the guard on counting."""

    async def test_books_begin_with_every_counter_at_zero(self, store: StateStore) -> None:
        assert dict(await store.books("unheard-of")) == dict.fromkeys(COUNTERS, 0)

    async def test_counters_go_up_and_down(self, store: StateStore) -> None:
        await store.commit((Count(RUN, {"read": 5, "waiting": 5}),))
        await store.commit((Count(RUN, {"waiting": -2, "in_flight": 2}), Count(RUN, {"read": 1})))
        books = await store.books(RUN)
        assert {name: n for name, n in books.items() if n} == {"read": 6, "waiting": 3, "in_flight": 2}

    async def test_sums_of_money_stay_exact(self, store: StateStore) -> None:
        await store.commit((Count(RUN, {"paid": 2**60 + 1}),))
        await store.commit((Count(RUN, {"paid": 1}),))
        assert (await store.books(RUN))["paid"] == 2**60 + 2

    async def test_every_run_has_its_own_books(self, store: StateStore) -> None:
        await store.commit((Count("run-1", {"read": 1}), Count("run-2", {"read": 2})))
        assert [(await store.books(run))["read"] for run in ("run-1", "run-2")] == [1, 2]

    async def test_counters_survive_reopening(self, connect: Connect) -> None:
        first = connect()
        await first.open()
        await first.commit((Count(RUN, {"delivered": 7}),))
        await first.close()
        second = connect()
        await second.open()
        books = await second.books(RUN)
        await second.close()
        assert books["delivered"] == 7

    async def test_no_addition_is_lost_between_processes(self, store: StateStore, other: StateStore) -> None:
        async def add(handle: StateStore) -> None:
            for _ in range(10):
                await handle.commit((Count(RUN, {"read": 1}),))

        async with anyio.create_task_group() as group:
            group.start_soon(add, store)
            group.start_soon(add, other)
        assert (await store.books(RUN))["read"] == 20

    async def test_a_cap_may_be_reached(self, store: StateStore) -> None:
        await store.commit((Count(RUN, {"paid": 6, "reserved": 4}), Cap(RUN, ("paid", "reserved"), 10)))
        assert (await store.books(RUN))["reserved"] == 4

    async def test_a_broken_cap_writes_nothing(self, store: StateStore) -> None:
        change = (Put(a_batch()), Note(an_event()), Count(RUN, {"reserved": 11}), Cap(RUN, ("paid", "reserved"), 10))
        with pytest.raises(OverCap):
            await store.commit(change)
        assert await store.get(Batch, "batch-1") is None
        assert await store.get(Event, "event-1") is None
        assert (await store.books(RUN))["reserved"] == 0

    async def test_a_cap_counts_what_was_there_before(self, store: StateStore) -> None:
        await store.commit((Count(RUN, {"paid": 8}),))
        with pytest.raises(OverCap):
            await store.commit((Count(RUN, {"reserved": 3}), Cap(RUN, ("paid", "reserved"), 10)))

    async def test_a_cap_sees_the_whole_change_wherever_it_stands(self, store: StateStore) -> None:
        with pytest.raises(OverCap):
            await store.commit((Cap(RUN, ("reserved",), 10), Count(RUN, {"reserved": 11})))
        await store.commit((Count(RUN, {"reserved": 11}), Cap(RUN, ("reserved",), 10), Count(RUN, {"reserved": -1})))
        assert (await store.books(RUN))["reserved"] == 10

    async def test_a_cap_looks_at_its_own_run_only(self, store: StateStore) -> None:
        await store.commit((Count("run-2", {"reserved": 100}), Cap(RUN, ("reserved",), 10)))
        assert (await store.books("run-2"))["reserved"] == 100

    async def test_stale_is_said_before_over_cap(self, store: StateStore) -> None:
        """Who lost a race must learn that, and not pause a run over money that somebody else counted already."""
        change = (Count(RUN, {"reserved": 11}), Cap(RUN, ("reserved",), 10), Put(after(a_batch())))
        with pytest.raises(Stale):
            await store.commit(change)

    async def test_writers_in_a_race_cannot_break_a_cap_together(self, store: StateStore, other: StateStore) -> None:
        refused: list[OverCap] = []

        async def spend(handle: StateStore) -> None:
            for _ in range(5):
                try:
                    await handle.commit((Count(RUN, {"reserved": 2}), Cap(RUN, ("reserved",), 9)))
                except OverCap as no:
                    refused.append(no)

        async with anyio.create_task_group() as group:
            group.start_soon(spend, store)
            group.start_soon(spend, other)
        assert (await store.books(RUN))["reserved"] == 8
        assert len(refused) == 6
