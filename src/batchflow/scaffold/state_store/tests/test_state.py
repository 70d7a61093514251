"""The state store against every promise of one."""

import pytest
from batchflow import Plugins
from batchflow.testing import StateStoreContract

import your_plugin
from your_plugin.state import state


class TestState(StateStoreContract):
    @pytest.fixture
    def connect(self, clock, tmp_path):
        return lambda: state(path=tmp_path / "runs.db", clock=clock)


def test_an_app_finds_it_by_its_name():
    assert Plugins([your_plugin], entry_points=False).state_store("your_part") is state
