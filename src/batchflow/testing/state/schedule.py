"""What is due: the one question the engine asks, again and again."""

from collections.abc import Sequence
from typing import Any

import pytest

from batchflow.model.change import Put
from batchflow.model.state import BatchState, Decision, DeliveryState, Due
from batchflow.ports.state import StateStore
from batchflow.testing.samples import RUN, a_batch, a_delivery, a_run, a_setback, a_wish, after


async def due(store: StateStore, run: str, now: float, limit: int) -> Sequence[Due]:
    """Asks what is due in a run."""
    return (await store.outlook(run, now, moving=(), limit=limit)).due


async def next_wake(store: StateStore) -> float | None:
    """Asks when something will be."""
    return (await store.outlook(RUN, 0.0, moving=(), limit=1)).next_wake


class ScheduleContract:
    """`outlook`."""

    async def test_nothing_is_due_in_an_empty_store(self, store: StateStore) -> None:
        assert list(await due(store, RUN, 1e12, 10)) == []
        assert await next_wake(store) is None

    async def test_due_is_oldest_first_whatever_the_kind(self, store: StateStore) -> None:
        await store.commit(
            (Put(a_batch(wake_at=30.0)), Put(a_delivery(wake_at=10.0)), Put(a_setback(wake_at=20.0))),
        )
        assert list(await due(store, RUN, 100.0, 10)) == [
            Due("delivery", "delivery-1", 10.0),
            Due("setback", "setback-1", 20.0),
            Due("batch", "batch-1", 30.0),
        ]

    async def test_equals_are_due_by_kind_and_id(self, store: StateStore) -> None:
        await store.commit(
            (Put(a_setback(wake_at=1.0)), Put(a_batch("b2", wake_at=1.0)), Put(a_batch("b1", wake_at=1.0))),
        )
        assert [one.id for one in await due(store, RUN, 1.0, 10)] == ["b1", "b2", "setback-1"]

    async def test_a_thing_is_due_from_its_very_moment(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(wake_at=5.0)),))
        assert list(await due(store, RUN, 4.999, 10)) == []
        assert [one.id for one in await due(store, RUN, 5.0, 10)] == ["batch-1"]

    async def test_a_limit_keeps_the_oldest(self, store: StateStore) -> None:
        batches = [a_batch(f"b{n}", wake_at=float(n)) for n in (2, 0, 1)]
        deliveries = [a_delivery(f"d{n}", wake_at=n + 0.5) for n in (1, 0)]
        await store.commit(tuple(Put(one) for one in (*batches, *deliveries)))
        assert [one.id for one in await due(store, RUN, 100.0, 3)] == ["b0", "d0", "b1"]

    async def test_a_look_leaves_out_nothing_of_many(self, store: StateStore) -> None:
        batches = [a_batch(f"b{n:02}", wake_at=3.0 * n, state=BatchState.RUNNING) for n in range(40)]
        deliveries = [a_delivery(f"d{n:02}", wake_at=3.0 * n + 1) for n in range(40)]
        setbacks = [a_setback(f"s{n:02}", wake_at=3.0 * n + 2) for n in range(40)]
        wishes = [a_wish(f"w{n:02}") for n in range(40)]
        await store.commit(tuple(Put(one) for one in (*batches, *deliveries, *setbacks, *wishes)))
        seen = await store.outlook(RUN, 1e6, moving=[BatchState.RUNNING], limit=1000)
        assert [one.id for one in seen.due] == [f"{kind}{n:02}" for n in range(40) for kind in "bds"]
        assert [list(seen.moving), list(seen.waiting), list(seen.wishes)] == [batches, setbacks, wishes]
        assert list(await due(store, RUN, 1e6, 50)) == list(seen.due)[:50]

    async def test_a_batch_without_a_time_is_not_due(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(wake_at=None)),))
        assert list(await due(store, RUN, 1e12, 10)) == []

    async def test_a_batch_that_was_put_to_sleep_is_no_longer_due(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(wake_at=1.0)),))
        await store.commit((Put(after(a_batch(), wake_at=None)),))
        assert list(await due(store, RUN, 1e12, 10)) == []
        assert await next_wake(store) is None

    @pytest.mark.parametrize("state", [DeliveryState.PARKED, DeliveryState.DONE])
    async def test_only_deliveries_that_wait_are_due(self, store: StateStore, state: DeliveryState) -> None:
        await store.commit((Put(a_delivery(state=state, wake_at=1.0)),))
        assert list(await due(store, RUN, 1e12, 10)) == []
        assert await next_wake(store) is None

    @pytest.mark.parametrize(
        "fields",
        [
            {"packed_in": "batch-2", "wake_at": 1.0},
            {"decision": Decision.DEAD, "wake_at": 1.0},
            {"decision": Decision.KEEP, "wake_at": 1.0},
            {"wake_at": None},
        ],
        ids=str,
    )
    async def test_setbacks_that_are_packed_or_decided_are_not_due(
        self, store: StateStore, fields: dict[str, Any]
    ) -> None:
        await store.commit((Put(a_setback(**fields)),))
        assert list(await due(store, RUN, 1e12, 10)) == []
        assert await next_wake(store) is None

    async def test_another_runs_things_are_not_due(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(run="run-2", wake_at=1.0)),))
        assert list(await due(store, RUN, 1e12, 10)) == []
        assert [one.id for one in await due(store, "run-2", 1e12, 10)] == ["batch-1"]

    async def test_the_next_wake_is_the_earliest_of_all_past_or_future(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(wake_at=900.0)), Put(a_delivery(wake_at=800.0)), Put(a_setback(wake_at=700.0))))
        assert await next_wake(store) == 700.0
        await store.commit((Put(a_batch("early", wake_at=1.0)),))
        assert await next_wake(store) == 1.0

    async def test_a_look_at_a_run_that_is_not_there_sees_nothing(self, store: StateStore) -> None:
        seen = await store.outlook(RUN, 1e12, moving=list(BatchState), limit=10)
        assert seen.run is None
        assert not [*seen.wishes, *seen.moving, *seen.waiting, *seen.due]

    async def test_a_look_sees_the_run_and_the_wishes_that_nobody_has_seen_to(self, store: StateStore) -> None:
        run, wishes = a_run(), [a_wish("w2"), a_wish("w1"), a_wish("w3", done_at=5.0), a_wish("w4", run="run-2")]
        await store.commit(tuple(Put(one) for one in (run, *wishes)))
        seen = await store.outlook(RUN, 1.0, moving=(), limit=10)
        assert seen.run == run
        assert list(seen.wishes) == [wishes[1], wishes[0]]

    async def test_a_look_sees_the_batches_in_the_states_that_are_asked_for(self, store: StateStore) -> None:
        drafted, running = a_batch("b2", state=BatchState.DRAFTED), a_batch("b1", state=BatchState.RUNNING)
        held, other = a_batch("b3", state=BatchState.HELD), a_batch("b4", run="run-2", state=BatchState.RUNNING)
        await store.commit(tuple(Put(one) for one in (drafted, running, held, other)))
        seen = await store.outlook(RUN, 1.0, moving=[BatchState.DRAFTED, BatchState.RUNNING], limit=1)
        assert list(seen.moving) == [running, drafted]

    async def test_a_look_sees_the_setbacks_that_wait_for_a_retry_batch(self, store: StateStore) -> None:
        waits, packed = a_setback("s2", wake_at=9.0), a_setback("s1", packed_in="batch-2")
        decided, other = a_setback("s3", decision=Decision.DEAD), a_setback("s4", run="run-2")
        await store.commit(tuple(Put(one) for one in (waits, packed, decided, other)))
        seen = await store.outlook(RUN, 1.0, moving=(), limit=10)
        assert list(seen.waiting) == [waits]
