"""The claims against every promise of a source."""

import sqlite3
from contextlib import closing

import pytest

from batchflow.testing import SourceContract


class Copy:
    """A nightly copy, made anew each time it is filled."""

    def __init__(self, path, team, prepare):
        self.path, self.team, self.prepare = path, team, prepare

    def fill(self, records):
        self.prepare.database(self.path, [(record["id"], record["text"]) for record in records])

    def spoil(self, records):
        good = [(record["id"], record["text"]) for record in records]
        self.prepare.database(self.path, [("no-text", None), *good, ("no-text-either", "")])
        return 2

    def remove(self):
        self.path.unlink()

    def source(self):
        return self.team.source("claims")(path=self.path)


@pytest.fixture
def place(tmp_path, team, prepare):
    return Copy(tmp_path / "claims.db", team, prepare)


class TestClaims(SourceContract):
    fingerprinted = False  # claims come in while a run reads

    @pytest.fixture
    def place(self, place):
        return place


def keys(pages):
    return [item.key for page in pages for item in page.items]


def test_what_comes_in_or_is_marked_while_a_run_reads_moves_nothing(place):
    place.fill([{"id": f"c{number:03}", "text": "x"} for number in range(400)])
    source = place.source()
    first, *_ = source.read(None)
    source.committed(keys([first]))
    with closing(sqlite3.connect(place.path)) as database, database:
        database.execute("INSERT INTO claims (claim, policy, text) VALUES ('a-late-one', 0, 'x')")
        assert database.execute("SELECT count(taken_at) FROM claims").fetchone() == (300,)
    assert keys(source.read(first.cursor)) == [*(f"c{number:03}" for number in range(300, 400)), "a-late-one"]
