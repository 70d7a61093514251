"""The sink against every promise of a sink."""

import sqlite3
from contextlib import closing

import pytest
from batchflow import Plugins
from batchflow.testing import SinkContract

import your_plugin
from your_plugin.sink import Table


class TestSink(SinkContract):
    @pytest.fixture
    def make_sink(self, tmp_path):
        return lambda: Table(path=tmp_path / "results.db")

    @pytest.fixture
    def read_back(self, tmp_path):
        async def read():
            if not (tmp_path / "results.db").exists():
                return []
            with closing(sqlite3.connect(tmp_path / "results.db")) as db:
                return db.execute("SELECT key, text FROM results ORDER BY rowid").fetchall()

        return read


def test_an_app_finds_it_by_its_name(tmp_path):
    plugins = Plugins([your_plugin], entry_points=False)
    assert isinstance(plugins.sink("your_part")(path=tmp_path / "results.db"), Table)
