"""The source against every promise of a source, and against a file that is something else."""

import sqlite3
from contextlib import closing

import pytest
from batchflow import Plugins
from batchflow.plugin import SourceError
from batchflow.testing import SourceContract
from batchflow.testing.source import items_of

import your_plugin
from your_plugin.source import Table, source


class Database:
    """A file that can be filled, and can be missing."""

    def __init__(self, path):
        self._path = path

    def fill(self, records):
        with closing(sqlite3.connect(self._path)) as db, db:
            db.execute("DROP TABLE IF EXISTS records")
            db.execute("CREATE TABLE records (id TEXT, text TEXT)")
            db.executemany("INSERT INTO records VALUES (:id, :text)", records)

    def source(self):
        return source(path=self._path)

    def remove(self):
        self._path.unlink()


class TestSource(SourceContract):
    fingerprinted = False

    @pytest.fixture
    def place(self, tmp_path):
        return Database(tmp_path / "records.db")


async def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "records.db").write_text("This is a letter, and no database. " * 10)
    with pytest.raises(SourceError, match=r"records\.db cannot be read behind row 0"):
        await items_of(source(path=tmp_path / "records.db"))


def test_an_app_finds_it_by_its_name(tmp_path):
    plugins = Plugins([your_plugin], entry_points=False)
    assert isinstance(plugins.source("your_part")(path=tmp_path / "records.db"), Table)
