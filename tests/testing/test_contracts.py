"""The suites are only worth something if they fail: each is shown stores that break one promise."""

import ast
import inspect
from contextlib import nullcontext

import anyio
import pytest
from hypothesis import Phase, find, settings
from msgspec import structs

from batchflow import plugin
from batchflow.builtin.stores import memory
from batchflow.builtin.stores.memory import MemoryBlobs, MemoryState
from batchflow.model.change import Change, Count, Note
from batchflow.testing import BlobStoreContract, ManualClock, StateStoreContract
from batchflow.testing.state.model import Example, deeds


class TearsCommits(MemoryState):
    async def commit(self, change: Change) -> None:
        for step in change:
            await super().commit((step,))


class CountsFactsTwice(MemoryState):
    async def commit(self, change: Change) -> None:
        notes = tuple(step for step in change if isinstance(step, Note))
        await super().commit((*change, *[Count(step.fact.run, {"read": 1}) for step in notes]))


class ForgetsToLapse(MemoryState):
    async def lease(self, name, **wish):
        self._leases.pop(name, None)
        return await super().lease(name, **wish)


class WakesEarly(MemoryState):
    async def outlook(self, run, now, *, moving, limit):
        return await super().outlook(run, now + 1.0, moving=moving, limit=limit)


BROKEN = [TearsCommits, CountsFactsTwice, ForgetsToLapse, WakesEarly]


@pytest.mark.parametrize("broken", BROKEN)
def test_the_model_finds_what_is_broken(broken):
    def goes_wrong(done) -> bool:
        async def play() -> bool:
            clock = ManualClock()
            example = Example(broken(now=clock.now), clock, "run-1")
            try:
                for deed in done:
                    await example.do(deed)
            except AssertionError:
                return True
            return False

        return anyio.run(play)

    assert find(deeds(), goes_wrong, settings=settings(max_examples=1_000, database=None, phases=[Phase.generate]))


async def test_the_examples_find_a_torn_commit():
    with pytest.raises(AssertionError):
        await StateStoreContract().test_a_commit_with_one_stale_row_writes_none(TearsCommits(now=ManualClock().now))


async def test_the_examples_find_a_store_that_checks_nothing():
    class Trusting(MemoryBlobs):
        async def read(self, blob, *, start=0, length=None):
            yield self._objects[blob.name]

    store = Trusting()

    def damage(name: str, at: int) -> None:
        store._objects[name] = b"?" * len(store._objects[name])

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        await BlobStoreContract().test_a_damaged_byte_is_noticed_before_all_is_given_away(store, damage, 0)


class DropsOneOfMany(MemoryState):
    async def outlook(self, run, now, *, moving, limit):
        seen = await super().outlook(run, now, moving=moving, limit=limit)
        return structs.replace(seen, due=[*seen.due[:3], *seen.due[4:]])


class RemembersWhatItRead(MemoryState):
    """Another handle's view of a store, which asks for a thing once."""

    def __init__(self, store, *asked_once):
        self._seen, self._store, self._asked_once = {}, store, asked_once

    def __getattribute__(self, name):
        if name not in {"get", "find", "books", "outlook"}:
            return super().__getattribute__(name)

        async def ask(*given, **options):
            answer = await getattr(self._store, name)(*given, **options)
            return self._seen.setdefault(name, answer) if name in self._asked_once else answer

        return ask


async def test_the_examples_find_a_look_that_drops_one_of_many():
    with pytest.raises(AssertionError):
        await StateStoreContract().test_a_look_leaves_out_nothing_of_many(DropsOneOfMany(now=ManualClock().now))


@pytest.mark.parametrize("stale", [None, "get", "find", "books", "outlook"])
async def test_the_examples_find_a_stale_cache(stale):
    other = MemoryState(now=ManualClock().now)
    cached = RemembersWhatItRead(other, stale)
    with pytest.raises(AssertionError) if stale else nullcontext():
        await StateStoreContract().test_what_was_looked_at_before_another_committed_is_looked_at_anew(cached, other)


@pytest.mark.parametrize("most", [None, 1000])
async def test_the_examples_find_a_list_that_ends_with_its_first_page(most):
    class OnePage(MemoryBlobs):
        async def list(self, prefix=""):
            for name in sorted([name async for name in super().list(prefix)])[:most]:
                yield name

    with pytest.raises(AssertionError) if most else nullcontext():
        await BlobStoreContract().test_more_names_than_fit_on_a_page_are_all_listed(OnePage())


@pytest.mark.parametrize("contract", [StateStoreContract, BlobStoreContract])
def test_a_suite_is_made_of_many_small_tests(contract):
    tests = [name for name in dir(contract) if name.startswith("test_")]
    assert len(tests) >= 20


def test_what_is_not_there_is_an_attribute_error():
    import batchflow.testing

    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = batchflow.testing.Nonsense
    assert all(hasattr(batchflow.testing, name) for name in batchflow.testing.__all__)


def test_a_store_can_be_written_with_what_plugins_import():
    tree = ast.parse(inspect.getsource(memory))
    needed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("batchflow.model", "batchflow.ports"))
        for alias in node.names
    }
    assert {"Change", "Lease", "Clock"} <= needed <= set(plugin.__all__)
    assert {"StateStore", "Stale", "OverCap", "Locked", "SchemaTooNew", "StoreUnavailable"} <= set(plugin.__all__)
