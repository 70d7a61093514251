"""SQLite queries: the contract, the keys a table can have, and rows that change while they are read."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batchflow.builtin.sources.sqlite import sqlite
from batchflow.model.errors import SourceError
from batchflow.model.record import Record, Unreadable
from batchflow.testing.source import SourceContract, items_of, pages_of

PENDING = "update claims set status = 'pending' where id = :key"


def run(path: Path, script: str, rows=None) -> list:
    with closing(sqlite3.connect(path)) as database, database:
        if rows is not None:
            database.executemany(script, rows)
            return []
        return database.execute(script).fetchall()


class Table:
    """A table whose query gives fewer rows the more are marked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, records) -> None:
        run(self.path, "drop table if exists claims")
        run(self.path, "create table claims (id text, text text, status text default 'new')")
        run(self.path, "insert into claims (id, text) values (?, ?)", [(row["id"], row["text"]) for row in records])

    def spoil(self, records) -> int:
        self.fill(records)
        bad = [(None, b"no key"), ("", b"empty key"), (None, b"no key"), ("r000001b", b"\xff no text")]
        run(self.path, "insert into claims (id, text) values (?, cast(? as text))", bad)
        return len(bad)

    def remove(self) -> None:
        self.path.unlink()

    def source(self):
        return sqlite(
            path=self.path,
            query="select id, text from claims where status = 'new'; ",
            key="id",
            on_submit=PENDING,
            page=400,
        )


class TestSqlite(SourceContract):
    fingerprinted = False

    @pytest.fixture
    def place(self, tmp_path):
        return Table(tmp_path / "claims.db")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.db"


async def test_numbers_texts_and_blobs_may_be_keys_of_one_column(path):
    run(path, "create table t (k, v)")
    keys = [3, 1, 2.5, -7, 2**62, "b", "B", "a", "10", b"\x00\xff", b"", b"z", None]
    run(path, "insert into t values (?, ?)", [(key, number) for number, key in enumerate(keys)])
    source = sqlite(path=path, query="select * from t", key="k", page=1)
    pages = await pages_of(source)
    items = [item for page in pages for item in page.items]
    assert [item.key for item in items if isinstance(item, Record)] == [
        "-7",
        "1",
        "2.5",
        "3",
        str(2**62),
        "10",
        "B",
        "a",
        "b",
        "00ff",
        "7a",
    ]
    assert [type(item) for item in items].count(Unreadable) == 2
    for page in pages:
        items = items[len(page.items) :]
        assert await items_of(source, page.cursor) == items


async def test_keys_that_differ_only_to_us_are_not_lost_between_pages(path):
    run(path, "create table t (k text collate nocase)")
    run(path, "insert into t values (?)", [("a",), ("A",), ("b",), ("B",)])
    assert [item.key for item in await items_of(sqlite(path=path, query="select * from t", key="k", page=1))] == [
        "A",
        "B",
        "a",
        "b",
    ]


async def test_rows_with_the_same_key_all_come_whatever_the_page(path):
    run(path, "create table t (k int, v int)")
    rows = [(number // 7, number) for number in range(50)]
    run(path, "insert into t values (?, ?)", rows)
    for page in (1, 3, 7, 10, 100):
        items = await items_of(sqlite(path=path, query="select * from t", key="k", page=page))
        assert sorted((item.data["k"], item.data["v"]) for item in items) == rows


async def test_large_rows_make_small_pages(path):
    run(path, "create table t (k integer primary key, v text)")
    run(path, "insert into t values (?, ?)", [(number, "x" * 600_000) for number in range(7)])
    pages = await pages_of(sqlite(path=path, query="select * from t", key="k"))
    assert [len(page.items) for page in pages] == [1, 1, 1, 1, 1, 1, 1]


async def test_blobs_arrive_as_base64_and_other_values_as_they_are(path):
    run(path, "create table t (k text, a blob, b real, c int, d text)")
    run(path, "insert into t values (?, ?, ?, ?, ?)", [("x", b"\xff\x00", 0.5, 7, None)])
    (record,) = await items_of(sqlite(path=path, query="select * from t", key="k"))
    assert record.data == {"k": "x", "a": "/wA=", "b": 0.5, "c": 7, "d": None}
    assert record.origin == "t.db:k=x"


async def test_a_query_may_end_in_a_comment_and_join_and_name_columns(path):
    run(path, "create table t (id integer primary key, v)")
    run(path, "insert into t values (?, ?)", [(1, "x"), (2, "y")])
    query = 'select a.id as "the key", b.v from t a join t b using (id) -- all of them'
    source = sqlite(path=path, query=query, key="the key")
    assert [item.data for item in await items_of(source)] == [{"the key": 1, "v": "x"}, {"the key": 2, "v": "y"}]
    assert await source.columns() == {"the key", "v"}


async def test_a_missing_key_column_is_refused_with_the_columns_there_are(path):
    run(path, "create table t (claim_id, v)")
    with pytest.raises(SourceError, match="no column 'id'") as caught:
        await items_of(sqlite(path=path, query="select * from t", key="id"))
    assert "'claim_id', 'v'" in caught.value.hint


@pytest.mark.parametrize("query", ["select * from nowhere", "delete from t", "not sql", "select * from t)"])
async def test_a_query_that_sqlite_refuses_is_a_source_error(path, query):
    run(path, "create table t (k)")
    run(path, "insert into t values (?)", [("x",)])
    with pytest.raises(SourceError, match="SQLite says"):
        await items_of(sqlite(path=path, query=query, key="k"))
    assert run(path, "select * from t") == [("x",)]


async def test_a_file_that_is_no_database_is_a_source_error(path):
    path.write_text("no database, but long enough to look like one" * 50)
    with pytest.raises(SourceError, match="not a database"):
        await items_of(sqlite(path=path, query="select k from t", key="k"))


@pytest.mark.parametrize(
    ("kind", "keys"),
    [("text", ["a", "7"]), ("integer", [1, 7]), ("", [1, 7]), ("blob", [b"\x00\xff", b"7"]), ("", [0.5, 7.0])],
)
@pytest.mark.parametrize("restarted", [False, True])
async def test_on_submit_finds_the_rows_whatever_type_their_keys_have(path, kind, keys, restarted):
    run(path, f"create table claims (id {kind}, status)")
    run(path, "insert into claims values (?, 'new')", [(key,) for key in keys])
    settings = {"path": path, "query": "select * from claims where status = 'new'", "key": "id", "on_submit": PENDING}
    source = sqlite(**settings)
    told = [item.key for item in await items_of(source)]
    await (sqlite(**settings) if restarted else source).committed(told[:1])
    assert sorted(run(path, "select status from claims")) == [("new",), ("pending",)]
    assert [item.key for item in await items_of(source)] == told[1:]


async def test_on_submit_is_all_or_nothing(path):
    run(path, "create table claims (id integer primary key, status, check (id < 3 or status = 'new'))")
    run(path, "insert into claims values (?, 'new')", [(1,), (2,), (3,)])
    source = sqlite(path=path, query="select * from claims", key="id", on_submit=PENDING)
    with pytest.raises(SourceError, match="CHECK constraint"):
        await source.committed(["1", "2", "3"])
    assert run(path, "select distinct status from claims") == [("new",)]


async def test_nothing_is_held_between_pages_so_others_may_write(path):
    run(path, "create table t (k integer primary key)")
    run(path, "insert into t values (?)", [(number,) for number in range(100)])
    pages = sqlite(path=path, query="select * from t", key="k", page=10).read(None)
    await anext(pages)
    with closing(sqlite3.connect(path, timeout=0)) as other, other:
        other.execute("delete from t where k % 2 = 1")
    rest = [item.key for page in [page async for page in pages] for item in page.items]
    assert rest == [str(number) for number in range(10, 100, 2)]


async def test_reading_cannot_write(path):
    run(path, "create table t (k)")
    before = path.read_bytes()
    await items_of(sqlite(path=path, query="select * from t", key="k"))
    assert path.read_bytes() == before


async def test_a_key_that_is_no_text_stops_the_run_and_says_how_to_go_on(path):
    run(path, "create table t (k text)")
    run(path, "insert into t values (cast(? as text))", [(b"\xff",)])
    with pytest.raises(SourceError, match="not valid UTF-8") as caught:
        await items_of(sqlite(path=path, query="select * from t", key="k"))
    assert "cast(k as blob)" in caught.value.hint


async def test_a_primary_key_is_read_through_its_index(path):
    run(path, "create table t (k integer primary key, v text)")
    tail = 'where "k" collate binary > 5 order by "k" collate binary limit 10'
    plan = run(path, f"explain query plan select * from (\nselect * from t\n) {tail}")
    assert "SEARCH" in plan[0][-1]
    assert "INTEGER PRIMARY KEY" in plan[0][-1]
    assert not any("TEMP B-TREE" in row[-1] for row in plan)


def test_on_submit_that_names_no_row_or_meets_a_limit_is_refused_at_once(path):
    with pytest.raises(ValueError, match=":key"):
        sqlite(path=path, query="select * from t", key="k", on_submit="update t set x = 1")
    for tail in ("limit 10", "LIMIT 10 OFFSET 5;", "limit 5, 10"):
        with pytest.raises(ValueError, match="LIMIT"):
            sqlite(path=path, query=f"select * from t {tail}", key="k", on_submit=PENDING)
    with pytest.raises(ValueError, match="page"):
        sqlite(path=path, query="select * from t", key="k", page=0)
