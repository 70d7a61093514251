"""The promises of a state store, one small test each. Subclass `StateStoreContract` and give it `connect`."""

from collections.abc import AsyncGenerator

import pytest

from batchflow.ports.state import StateStore
from batchflow.testing.clock import ManualClock
from batchflow.testing.state.books import BooksContract
from batchflow.testing.state.commits import CommitContract
from batchflow.testing.state.connect import Connect
from batchflow.testing.state.leases import LeaseContract
from batchflow.testing.state.lookups import LookupContract
from batchflow.testing.state.model import ModelContract
from batchflow.testing.state.schedule import ScheduleContract

__all__ = ["Connect", "StateStoreContract"]


class StateStoreContract(CommitContract, BooksContract, LeaseContract, LookupContract, ScheduleContract, ModelContract):
    """Everything `ports.state.StateStore` promises. A subclass overrides `connect`, and `anyio_backend` if it must."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def connect(self) -> Connect:
        """Gives a function that makes a handle, not yet open, on one and the same store: empty when the test begins.

        The store must judge leases by the `clock` fixture.
        """
        raise NotImplementedError("give a fixture `connect` that makes a handle on your store")

    @pytest.fixture
    async def store(self, connect: Connect) -> AsyncGenerator[StateStore]:
        handle = connect()
        await handle.open()
        yield handle
        await handle.close()

    @pytest.fixture
    async def other(self, connect: Connect) -> AsyncGenerator[StateStore]:
        """The same store as another process sees it."""
        handle = connect()
        await handle.open()
        yield handle
        await handle.close()
