"""The memory pair keeps what the real ones promise."""

import pytest

from batchflow.builtin.stores.memory import MemoryBlobs, memory_blobs, memory_state
from batchflow.testing import BlobStoreContract, StateStoreContract


class TestMemoryState(StateStoreContract):
    @pytest.fixture
    def connect(self, clock):
        store = memory_state(clock=clock)
        return lambda: store


class TestMemoryBlobs(BlobStoreContract):
    @pytest.fixture
    def place(self):
        return memory_blobs()

    @pytest.fixture
    def connect(self, place: MemoryBlobs):
        return lambda: place

    @pytest.fixture
    def damage(self, place: MemoryBlobs):
        def flip(name: str, at: int) -> None:
            data = bytearray(place._objects[name])
            data[at] ^= 1
            place._objects[name] = bytes(data)

        return flip
