"""The suites are only worth something if they fail: each is shown stores that break one promise."""

import ast
import inspect

import anyio
import pytest
from hypothesis import Phase, find, settings

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
