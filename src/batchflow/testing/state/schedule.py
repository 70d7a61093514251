"""What is due: the one question the engine asks, again and again."""

from typing import Any

import pytest

from batchflow.model.change import Put
from batchflow.model.state import Decision, DeliveryState, Due
from batchflow.ports.state import StateStore
from batchflow.testing.samples import RUN, a_batch, a_delivery, a_setback, after


class ScheduleContract:
    """`due` and `next_wake`."""

    async def test_nothing_is_due_in_an_empty_store(self, store: StateStore) -> None:
        assert list(await store.due(RUN, 1e12, 10)) == []
        assert await store.next_wake(RUN) is None

    async def test_due_is_oldest_first_whatever_the_kind(self, store: StateStore) -> None:
        await store.commit(
            (Put(a_batch(wake_at=30.0)), Put(a_delivery(wake_at=10.0)), Put(a_setback(wake_at=20.0))),
        )
        assert list(await store.due(RUN, 100.0, 10)) == [
            Due("delivery", "delivery-1", 10.0),
            Due("setback", "setback-1", 20.0),
            Due("batch", "batch-1", 30.0),
        ]

    async def test_equals_are_due_by_kind_and_id(self, store: StateStore) -> None:
        await store.commit(
            (Put(a_setback(wake_at=1.0)), Put(a_batch("b2", wake_at=1.0)), Put(a_batch("b1", wake_at=1.0))),
        )
        assert [due.id for due in await store.due(RUN, 1.0, 10)] == ["b1", "b2", "setback-1"]

    async def test_a_thing_is_due_from_its_very_moment(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(wake_at=5.0)),))
        assert list(await store.due(RUN, 4.999, 10)) == []
        assert [due.id for due in await store.due(RUN, 5.0, 10)] == ["batch-1"]

    async def test_a_limit_keeps_the_oldest(self, store: StateStore) -> None:
        batches = [a_batch(f"b{n}", wake_at=float(n)) for n in (2, 0, 1)]
        deliveries = [a_delivery(f"d{n}", wake_at=n + 0.5) for n in (1, 0)]
        await store.commit(tuple(Put(one) for one in (*batches, *deliveries)))
        assert [due.id for due in await store.due(RUN, 100.0, 3)] == ["b0", "d0", "b1"]

    async def test_a_batch_without_a_time_is_not_due(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(wake_at=None)),))
        assert list(await store.due(RUN, 1e12, 10)) == []

    async def test_a_batch_that_was_put_to_sleep_is_no_longer_due(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(wake_at=1.0)),))
        await store.commit((Put(after(a_batch(), wake_at=None)),))
        assert list(await store.due(RUN, 1e12, 10)) == []
        assert await store.next_wake(RUN) is None

    @pytest.mark.parametrize("state", [DeliveryState.PARKED, DeliveryState.DONE])
    async def test_only_deliveries_that_wait_are_due(self, store: StateStore, state: DeliveryState) -> None:
        await store.commit((Put(a_delivery(state=state, wake_at=1.0)),))
        assert list(await store.due(RUN, 1e12, 10)) == []
        assert await store.next_wake(RUN) is None

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
        assert list(await store.due(RUN, 1e12, 10)) == []
        assert await store.next_wake(RUN) is None

    async def test_another_runs_things_are_not_due(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(run="run-2", wake_at=1.0)),))
        assert list(await store.due(RUN, 1e12, 10)) == []
        assert [due.id for due in await store.due("run-2", 1e12, 10)] == ["batch-1"]

    async def test_the_next_wake_is_the_earliest_of_all_past_or_future(self, store: StateStore) -> None:
        await store.commit((Put(a_batch(wake_at=900.0)), Put(a_delivery(wake_at=800.0)), Put(a_setback(wake_at=700.0))))
        assert await store.next_wake(RUN) == 700.0
        await store.commit((Put(a_batch("early", wake_at=1.0)),))
        assert await store.next_wake(RUN) == 1.0
