"""SQLite keeps every promise of a state store."""

import pytest

from batchflow.builtin.stores.sqlite import sqlite_state
from batchflow.testing import StateStoreContract


class TestSqliteState(StateStoreContract):
    @pytest.fixture
    def connect(self, clock, tmp_path):
        return lambda: sqlite_state(path=tmp_path / "state" / "state.db", clock=clock)
