"""A change happens whole or not at all, and only to what it was made for."""

from collections.abc import Sequence

import anyio
import msgspec
import pytest

from batchflow.model.change import Count, Entity, Fact, Note, Put
from batchflow.model.errors import Stale
from batchflow.model.state import Batch, BatchState, Event, Intent, Remote, Run
from batchflow.ports.state import StateStore
from batchflow.testing.samples import (
    RUN,
    a_batch,
    a_remote,
    a_run,
    after,
    an_event,
    an_intent,
    full,
    sparse,
)
from batchflow.testing.state.connect import Connect

_KINDS = [f"{type(one).__name__}-{which}" for which in ("sparse", "full") for one in sparse()]


def step_for(one: Entity | Fact) -> Put | Note:
    """Chooses how a thing is written: facts carry no version."""
    return Note(one) if not hasattr(one, "version") else Put(one)  # pyright: ignore[reportArgumentType] - told apart by the version


class CommitContract:
    """Versions, facts, and all or nothing."""

    @pytest.mark.parametrize("one", [*sparse(), *full()], ids=_KINDS)
    async def test_every_kind_comes_back_as_it_was_written(self, store: StateStore, one: Entity | Fact) -> None:
        await store.commit((step_for(one),))
        assert await store.get(type(one), one.token if isinstance(one, Intent) else one.id) == one

    async def test_what_is_not_there_is_none(self, store: StateStore) -> None:
        assert await store.get(Run, "nobody") is None

    async def test_a_change_of_nothing_is_no_error(self, store: StateStore) -> None:
        await store.commit(())

    async def test_the_next_version_replaces_the_one_before(self, store: StateStore) -> None:
        first = a_batch()
        second = after(first, state=BatchState.SUBMITTING, wake_at=7.0)
        await store.commit((Put(first),))
        await store.commit((Put(second),))
        assert await store.get(Batch, first.id) == second

    async def test_a_first_version_of_what_exists_is_stale(self, store: StateStore) -> None:
        await store.commit((Put(a_run()),))
        with pytest.raises(Stale):
            await store.commit((Put(a_run(job="another")),))
        assert await store.get(Run, RUN) == a_run()

    @pytest.mark.parametrize("version", [2, 4])
    async def test_any_version_but_the_next_is_stale(self, store: StateStore, version: int) -> None:
        second = after(a_run())
        await store.commit((Put(a_run()), Put(second)))
        with pytest.raises(Stale):
            await store.commit((Put(msgspec.structs.replace(second, version=version, job="another")),))
        assert await store.get(Run, RUN) == second

    async def test_a_second_version_of_nothing_is_stale(self, store: StateStore) -> None:
        with pytest.raises(Stale):
            await store.commit((Put(after(a_run())),))
        assert await store.get(Run, RUN) is None

    async def test_stale_names_the_thing(self, store: StateStore) -> None:
        with pytest.raises(Stale, match=r"Intent.*t0k3n"):
            await store.commit((Put(after(an_intent())),))

    async def test_a_commit_with_one_stale_row_writes_none(self, store: StateStore) -> None:
        await store.commit((Put(a_run()),))
        change = (Put(a_batch()), Note(an_event()), Count(RUN, {"read": 5}), Put(a_run()), Note(a_remote()))
        with pytest.raises(Stale):
            await store.commit(change)
        assert await store.get(Batch, "batch-1") is None
        assert await store.get(Event, "event-1") is None
        assert await store.get(Remote, "msgbatch_1") is None
        assert (await store.books(RUN))["read"] == 0

    async def test_the_store_works_on_after_a_stale_commit(self, store: StateStore) -> None:
        with pytest.raises(Stale):
            await store.commit((Put(after(a_run())),))
        await store.commit((Put(a_run()),))
        assert await store.get(Run, RUN) == a_run()

    async def test_one_thing_may_go_two_steps_in_one_change(self, store: StateStore) -> None:
        second = after(a_batch(), state=BatchState.SUBMITTING)
        third = after(second, state=BatchState.RUNNING)
        await store.commit((Put(a_batch()), Put(second), Put(third)))
        assert await store.get(Batch, "batch-1") == third

    async def test_kinds_do_not_share_names(self, store: StateStore) -> None:
        await store.commit((Put(a_run("same")), Put(a_batch("same")), Note(an_event("same"))))
        assert await store.get(Run, "same") == a_run("same")
        assert await store.get(Batch, "same") == a_batch("same")

    async def test_a_fact_told_twice_is_kept_once_as_it_was_told_first(self, store: StateStore) -> None:
        await store.commit((Note(a_remote()),))
        await store.commit((Note(a_remote(how="adopted")), Note(a_remote(how="adopted"))))
        assert await store.find(Remote, {}) == [a_remote()]

    async def test_a_fact_needs_nothing_it_speaks_of(self, store: StateStore) -> None:
        await store.commit((Note(a_remote(run="unheard-of", batch="unheard-of")),))
        assert await store.get(Remote, "msgbatch_1") is not None

    async def test_another_process_sees_what_was_committed(self, store: StateStore, other: StateStore) -> None:
        await store.commit((Put(a_run()),))
        assert await other.get(Run, RUN) == a_run()
        await other.commit((Put(after(a_run(), job="seen")),))
        assert await store.get(Run, RUN) == after(a_run(), job="seen")

    async def test_what_was_looked_at_before_another_committed_is_looked_at_anew(
        self, store: StateStore, other: StateStore
    ) -> None:
        async def look() -> tuple[Run | None, Sequence[Run], int, Run | None]:
            books = (await store.books(RUN))["read"]
            seen = await store.outlook(RUN, 1.0, moving=(), limit=1)
            return await store.get(Run, RUN), list(await store.find(Run, {})), books, seen.run

        assert await look() == (None, [], 0, None)
        run = a_run()
        for n in range(1, 4):
            await other.commit((Put(run), Count(RUN, {"read": 1})))
            assert await look() == (run, [run], n, run)
            run = after(run, job=f"job {n}")

    async def test_of_two_writers_of_one_version_one_is_stale(self, store: StateStore, other: StateStore) -> None:
        await store.commit((Put(a_run()),))
        ends: list[str] = []

        async def write(handle: StateStore, job: str) -> None:
            try:
                await handle.commit((Put(after(a_run(), job=job)),))
                ends.append(job)
            except Stale:
                ends.append("stale")

        async with anyio.create_task_group() as group:
            group.start_soon(write, store, "ours")
            group.start_soon(write, other, "theirs")
        winner = await store.get(Run, RUN)
        assert winner is not None
        assert sorted(ends) == sorted([winner.job, "stale"])

    async def test_everything_survives_reopening(self, connect: Connect) -> None:
        first = connect()
        await first.open()
        await first.commit(tuple(step_for(one) for one in full()))
        await first.close()
        second = connect()
        await second.open()
        found = [await second.find(type(one), {}) for one in full()]
        await second.close()
        assert found == [[one] for one in full()]

    async def test_opening_and_closing_twice_is_no_error(self, connect: Connect) -> None:
        handle = connect()
        await handle.open()
        await handle.open()
        await handle.commit((Put(a_run()),))
        await handle.close()
        await handle.close()
        await handle.open()
        assert await handle.get(Run, RUN) == a_run()
        await handle.close()
