"""Finding by fields, in the order of ids, a page at a time."""

import pytest

from batchflow.model.change import Note, Put
from batchflow.model.state import Batch, BatchState, Event, Intent, Run
from batchflow.model.words import Word
from batchflow.ports.state import StateStore
from batchflow.testing.samples import a_batch, a_run, an_event, an_intent


async def five_batches(store: StateStore) -> None:
    """Writes batches b0 to b4, in another order than that of their ids."""
    states = (BatchState.DRAFTED, BatchState.RUNNING, BatchState.DRAFTED, BatchState.ENDED, BatchState.DRAFTED)
    batches = [a_batch(f"b{n}", state=state, retry=n == 3, count=n) for n, state in enumerate(states)]
    await store.commit(tuple(Put(batches[n]) for n in (3, 0, 4, 1, 2)))


class LookupContract:
    """`find` and its conditions."""

    @pytest.fixture
    async def batches(self, store: StateStore) -> StateStore:
        await five_batches(store)
        return store

    async def test_without_conditions_all_of_a_kind_are_found_by_id(self, batches: StateStore) -> None:
        assert [batch.id for batch in await batches.find(Batch, {})] == ["b0", "b1", "b2", "b3", "b4"]
        assert list(await batches.find(Run, {})) == []

    @pytest.mark.parametrize(
        ("where", "ids"),
        [
            ({"state": BatchState.DRAFTED}, ["b0", "b2", "b4"]),
            ({"state": "drafted"}, ["b0", "b2", "b4"]),
            ({"state": [BatchState.RUNNING, BatchState.ENDED]}, ["b1", "b3"]),
            ({"state": (BatchState.RUNNING,)}, ["b1"]),
            ({"state": []}, []),
            ({"state": BatchState.DRAFTED, "count": 2}, ["b2"]),
            ({"state": BatchState.ENDED, "count": 2}, []),
            ({"retry": True}, ["b3"]),
            ({"retry": False, "count": [1, 3]}, ["b1"]),
            ({"run": "unheard-of"}, []),
        ],
        ids=str,
    )
    async def test_all_conditions_must_hold(
        self, batches: StateStore, where: dict[str, object], ids: list[str]
    ) -> None:
        assert [batch.id for batch in await batches.find(Batch, where)] == ids

    async def test_nothing_is_a_value_to_look_for(self, store: StateStore) -> None:
        await store.commit((Put(a_run("a")), Put(a_run("b", word=Word.NO_CREDIT)), Put(a_run("c", word=Word.EXPIRED))))
        assert [run.id for run in await store.find(Run, {"word": None})] == ["a"]
        assert [run.id for run in await store.find(Run, {"word": [None, Word.EXPIRED]})] == ["a", "c"]

    async def test_a_field_that_is_not_there_is_an_error_and_not_an_empty_answer(self, store: StateStore) -> None:
        with pytest.raises(ValueError, match="colour"):
            await store.find(Batch, {"colour": "red"})

    async def test_a_limit_keeps_the_first(self, batches: StateStore) -> None:
        assert [batch.id for batch in await batches.find(Batch, {}, limit=2)] == ["b0", "b1"]

    async def test_newest_turns_the_order_round(self, batches: StateStore) -> None:
        assert [batch.id for batch in await batches.find(Batch, {}, limit=2, newest=True)] == ["b4", "b3"]

    @pytest.mark.parametrize("newest", [False, True])
    @pytest.mark.parametrize("size", [1, 2, 5])
    async def test_pages_leave_nothing_out_and_repeat_nothing(
        self,
        batches: StateStore,
        size: int,
        newest: bool,  # noqa: FBT001 - a parameter of a test
    ) -> None:
        seen: list[str] = []
        while page := await batches.find(Batch, {}, after=seen[-1] if seen else "", limit=size, newest=newest):
            seen.extend(batch.id for batch in page)
        assert seen == sorted(["b0", "b1", "b2", "b3", "b4"], reverse=newest)

    async def test_pages_may_go_on_from_an_id_that_is_gone(self, batches: StateStore) -> None:
        assert [batch.id for batch in await batches.find(Batch, {}, after="b25")] == ["b3", "b4"]

    async def test_pages_respect_conditions(self, batches: StateStore) -> None:
        found = await batches.find(Batch, {"state": BatchState.DRAFTED}, after="b0", limit=1)
        assert [batch.id for batch in found] == ["b2"]

    async def test_intents_are_found_by_token(self, store: StateStore) -> None:
        intents = [an_intent("t1"), an_intent("t2", batch="batch-2")]
        await store.commit(tuple(Put(intent) for intent in intents))
        assert list(await store.find(Intent, {})) == intents
        assert list(await store.find(Intent, {"token": "t2"})) == intents[1:]
        assert await store.get(Intent, "t1") == intents[0]

    async def test_a_thousand_are_found_unless_more_are_asked_for(self, store: StateStore) -> None:
        await store.commit(tuple(Note(an_event(f"event-{n:04}")) for n in range(1001)))
        assert len(await store.find(Event, {})) == 1000
        assert len(await store.find(Event, {}, limit=5000)) == 1001
