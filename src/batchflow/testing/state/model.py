"""Random changes, leases, clock moves and reopenings, each compared with the memory store: the plain model of a store.

Examples show what their author thought of. Torn commits and forgotten guards live in what nobody thought of.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchflow.builtin.stores.memory import memory_state
from batchflow.model.change import Cap, Change, Count, Entity, Fact, Holding, Note, Put, Step
from batchflow.model.errors import StoreError
from batchflow.model.state import Batch, BatchState, Decision, Delivery, DeliveryState, Event, Intent, Setback
from batchflow.ports.state import StateStore
from batchflow.testing.clock import ManualClock
from batchflow.testing.samples import a_batch, a_delivery, a_setback, an_event
from batchflow.testing.state.values import anything

_KINDS: tuple[type[Entity | Fact], ...] = (Batch, Delivery, Setback, Event)
_COUNTERS = ("reserved", "paid", "read")

_MODERATE = settings(
    max_examples=50,
    deadline=None,
    # The store is shared by the examples on purpose: each has names of its own, and opening costs more than an example.
    # And one suite is run by many subclasses: that is what it is for.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors, HealthCheck.too_slow],
)


class Commit(msgspec.Struct, frozen=True):
    """Commit these steps. The version of an entity in them is the distance to the stored one: 1 is right."""

    steps: Change


class Take(msgspec.Struct, frozen=True):
    """Take or renew the lease."""

    owner: str
    ttl: float


class GiveBack(msgspec.Struct, frozen=True):
    """Give the lease back."""

    owner: str


class Pass(msgspec.Struct, frozen=True):
    """Let time pass."""

    seconds: float


class Reopen(msgspec.Struct, frozen=True):
    """Close the store and open it again."""


Deed = Commit | Take | GiveBack | Pass | Reopen


def deeds() -> st.SearchStrategy[list[Deed]]:
    """Draws what is done in one example: small names and numbers, so that things meet, and mostly what can succeed."""
    owner, seconds = st.sampled_from(["ann", "bob"]), st.integers(1, 5).map(float)
    steps = st.lists(_steps(owner), min_size=1, max_size=5).map(tuple)
    commits = st.builds(Commit, steps)
    return st.lists(
        st.one_of(
            commits,
            commits,
            st.builds(Take, owner, seconds),
            st.builds(GiveBack, owner),
            st.builds(Pass, seconds),
            st.just(Reopen()),
        ),
        min_size=1,
        max_size=12,
    )


def _steps(owner: st.SearchStrategy[str]) -> st.SearchStrategy[Step]:
    name, counter = st.sampled_from(["a", "b"]), st.sampled_from(_COUNTERS)
    common: dict[str, Any] = {
        "id": name,
        "version": st.sampled_from([1] * 14 + [0, 2]),
        "wake_at": st.sampled_from([None, 0.0, 1.0, 2.0, 3.0, 3.5]),
    }
    entities: st.SearchStrategy[Entity] = st.one_of(
        st.builds(a_batch, **common, count=st.integers(0, 3)),
        st.builds(a_delivery, **common, state=st.sampled_from(DeliveryState)),
        st.builds(a_setback, **common, decision=st.sampled_from(Decision), packed_in=st.sampled_from(["", "batch-2"])),
    )
    puts = st.builds(Put, entities)
    return st.one_of(
        puts,
        puts,
        puts,
        st.builds(Note, st.builds(an_event, id=name, text=st.sampled_from(["once", "twice"]))),
        st.builds(Count, st.just(""), st.dictionaries(counter, st.integers(-2, 5), max_size=2)),
        st.builds(Cap, st.just(""), st.lists(counter, unique=True).map(tuple), st.integers(0, 12)),
        st.builds(Holding, st.just(""), owner),
    )


class Example:
    """One example: the real store and the model, and a run of its own that names everything."""

    def __init__(self, store: StateStore, clock: ManualClock, run: str) -> None:
        self.store = store
        self.model = memory_state(clock=clock)
        self.clock = clock
        self.run = run

    async def do(self, deed: Deed) -> None:
        """Does it to both, which must answer alike and be alike afterwards."""
        if isinstance(deed, Pass):
            self.clock.advance(deed.seconds)
        if isinstance(deed, Commit):
            deed = Commit(tuple([await self._grounded(step) for step in deed.steps]))
        assert await self._answer(self.store, deed) == await self._answer(self.model, deed), deed
        assert await self._seen(self.store) == await self._seen(self.model), deed

    async def _answer(self, store: StateStore, deed: Deed) -> object:
        try:
            match deed:
                case Commit():
                    return await store.commit(deed.steps)
                case Take():
                    return await store.lease(self.run, owner=deed.owner, host="h", pid=1, ttl=deed.ttl)
                case GiveBack():
                    return await store.release(self.run, owner=deed.owner)
                case Reopen():
                    await store.close()
                    return await store.open()
                case Pass():
                    return None
        except StoreError as no:
            return type(no)

    async def _seen(self, store: StateStore) -> list[object]:
        return [
            *[list(await store.find(kind, {"run": self.run})) for kind in _KINDS],
            dict(await store.books(self.run)),
            *[await store.outlook(self.run, float(now), moving=list(BatchState), limit=4) for now in range(5)],
            await store.holder(self.run),
        ]

    async def _grounded(self, step: Step) -> Step:
        match step:
            case Put():
                return Put(await self._versioned(step.entity))
            case Note():
                return Note(msgspec.structs.replace(step.fact, **self._names(step.fact)))
            case Count() | Cap():
                return msgspec.structs.replace(step, run=self.run)
            case Holding():
                return msgspec.structs.replace(step, lease=self.run)

    async def _versioned(self, entity: Entity) -> Entity:
        names = self._names(entity)
        stored = await self.model.get(type(entity), names["id"])
        version = (stored.version if stored else 0) + entity.version
        return msgspec.structs.replace(entity, version=version, **names)

    def _names(self, one: Entity | Fact) -> dict[str, str]:
        assert not isinstance(one, Intent)  # the only kind that is named otherwise is not drawn here
        return {"run": self.run, "id": f"{self.run}-{one.id}"}


class ModelContract:
    """What no example shows."""

    @pytest.fixture
    def examples(self) -> Iterator[int]:
        return count()

    @_MODERATE
    @given(deeds=deeds())
    async def test_whatever_is_done_it_ends_as_in_the_plain_model(
        self, store: StateStore, clock: ManualClock, examples: Iterator[int], deeds: Sequence[Deed]
    ) -> None:
        example = Example(store, clock, f"run-{next(examples)}")
        for deed in deeds:
            await example.do(deed)

    @_MODERATE
    @given(one=anything())
    async def test_whatever_is_written_comes_back_as_it_was(
        self, store: StateStore, examples: Iterator[int], one: Entity | Fact
    ) -> None:
        name = f"{next(examples)}"
        one = msgspec.structs.replace(one, **({"token": name} if isinstance(one, Intent) else {"id": name}))
        await store.commit((Note(one) if isinstance(one, Fact) else Put(one),))
        assert await store.get(type(one), name) == one
