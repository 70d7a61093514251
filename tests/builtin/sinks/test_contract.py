"""The four sinks keep the public contract, unchanged."""

import csv as stdlib_csv
import json
import sqlite3

import pytest

from batchflow.builtin.sinks.csv import csv
from batchflow.builtin.sinks.jsonl import jsonl
from batchflow.builtin.sinks.sqlite import sqlite
from batchflow.builtin.sinks.stdout import stdout
from batchflow.testing.sink import SinkContract


def told_by_json(text):
    return [(row["key"], row.get("text", "")) for row in map(json.loads, filter(None, text.split("\n")))]


class TestJsonl(SinkContract):
    @pytest.fixture
    def make_sink(self, tmp_path):
        return lambda: jsonl(path=tmp_path / "out" / "out.jsonl")

    @pytest.fixture
    def read_back(self, tmp_path):
        async def read():
            return told_by_json((tmp_path / "out" / "out.jsonl").read_text())

        return read


class TestCsv(SinkContract):
    @pytest.fixture
    def make_sink(self, tmp_path):
        return lambda: csv(path=tmp_path / "out.csv")

    @pytest.fixture
    def read_back(self, tmp_path):
        async def read():
            with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
                return [(row["key"], row["text"]) for row in stdlib_csv.DictReader(file)]

        return read

    @pytest.fixture(autouse=True)
    def _room_for_huge_cells(self):
        before = stdlib_csv.field_size_limit(4_000_000)
        yield
        stdlib_csv.field_size_limit(before)


@pytest.mark.parametrize("mode", ["upsert", "insert"])
class TestSqlite(SinkContract):
    @pytest.fixture
    def make_sink(self, tmp_path, mode):
        return lambda: sqlite(path=tmp_path / "out.db", table="answers", mode=mode)

    @pytest.fixture
    def read_back(self, tmp_path):
        async def read():
            database = sqlite3.connect(tmp_path / "out.db")
            try:
                return database.execute("SELECT key, text FROM answers ORDER BY rowid").fetchall()
            finally:
                database.close()

        return read


class TestSqliteWithARuleOfItsOwn(SinkContract):
    @pytest.fixture
    def make_sink(self, tmp_path):
        database = sqlite3.connect(tmp_path / "out.db")
        database.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT UNIQUE, text TEXT CHECK (text != 'no, thanks'))")
        database.close()
        fields = {"key": "key", "text": "text"}
        return lambda: sqlite(path=tmp_path / "out.db", table="answers", fields=fields)

    @pytest.fixture
    def unwanted(self):
        return "no, thanks"

    @pytest.fixture
    def read_back(self, tmp_path):
        async def read():
            database = sqlite3.connect(tmp_path / "out.db")
            try:
                return database.execute("SELECT key, text FROM answers ORDER BY rowid").fetchall()
            finally:
                database.close()

        return read


class TestStdout(SinkContract):
    @pytest.fixture
    def make_sink(self):
        return stdout

    @pytest.fixture
    def read_back(self, capfdbinary):
        seen = []

        async def read():
            seen.append(capfdbinary.readouterr().out.decode())
            return told_by_json("".join(seen))

        return read
