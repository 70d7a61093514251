"""The file: what it looks like, who may read it, and what is never touched."""

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import anyio
import msgspec
import pytest
from ordinary import ordinarily

from batchflow.builtin.stores.sqlite import sqlite_state
from batchflow.builtin.stores.sqlite.queries import DUE, NEXT_WAKE
from batchflow.builtin.stores.sqlite.rows import TABLE_NAMES
from batchflow.builtin.stores.sqlite.schema import _bring_forward, _migrations, open_database
from batchflow.builtin.stores.sqlite.trouble import explain
from batchflow.model.change import Put
from batchflow.model.errors import Bug, SchemaTooNew, StoreUnavailable
from batchflow.model.state import Delivery, Lease, Run
from batchflow.testing.samples import RUN, a_run

NEWEST = len(_migrations())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "state.db"


@pytest.fixture
async def made(path):
    """A store with something in it, closed again."""
    store = sqlite_state(path=path)
    await store.open()
    await store.commit((Put(a_run()),))
    await store.close()
    return path


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".db-shm"}


def edit(path, *statements):
    database = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize(("kind", "table"), [*TABLE_NAMES, (Lease, "leases")])
async def test_columns_are_fields(made, kind, table):
    database = sqlite3.connect(made)
    columns = {name: bool(filled) for _, name, _, filled, *_ in database.execute(f"PRAGMA table_info({table})")}
    database.close()
    fields = {
        field.name: type(None) not in getattr(field.type, "__args__", ()) for field in msgspec.structs.fields(kind)
    }
    assert columns == fields


async def test_no_table_is_without_a_kind(made):
    database = sqlite3.connect(made)
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    assert tables == {name for _, name in TABLE_NAMES} | {"books", "leases"}


@pytest.mark.parametrize("query", [DUE, NEXT_WAKE])
async def test_what_is_due_is_found_by_its_indexes_alone(made, query):
    database = sqlite3.connect(made)
    plan = " ".join(
        row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}", {"run": "r", "now": 1.0, "limit": 1})
    )
    database.close()
    for index in ("batches_due", "deliveries_due", "setbacks_due"):
        assert index in plan
    assert "SCAN batches" not in plan


async def test_a_folder_that_was_made_is_private_and_out_of_git(made):
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert (made.parent / ".gitignore").read_text() == "*\n"


async def test_a_folder_that_was_there_stays_as_it_was(tmp_path):
    """It may be the project's own: a .gitignore of ours would hide the whole project."""
    tmp_path.chmod(0o755)
    store = sqlite_state(path=tmp_path / "state.db")
    await store.open()
    await store.close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert not (tmp_path / ".gitignore").exists()


async def test_only_the_topmost_new_folder_keeps_itself_out_of_git(tmp_path):
    store = sqlite_state(path=tmp_path / "a" / "b" / "state.db")
    await store.open()
    await store.close()
    assert (tmp_path / "a" / ".gitignore").exists()
    assert not (tmp_path / "a" / "b" / ".gitignore").exists()


async def test_commits_are_durable_when_they_are_answered(path):
    database = open_database(path, 1.0)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    database.close()


async def test_a_newer_schema_is_refused_and_untouched(made):
    edit(made, f"PRAGMA user_version = {NEWEST + 7}")
    before = contents(made.parent)
    with pytest.raises(SchemaTooNew, match=rf"version {NEWEST + 7}.*up to {NEWEST}\b") as refused:
        await sqlite_state(path=made).open()
    assert "Upgrade" in refused.value.hint
    assert contents(made.parent) == before


OLDER = ('ALTER TABLE deliveries DROP COLUMN "only"', "PRAGMA user_version = 3")


async def test_who_only_looks_reads_an_older_schema_and_leaves_it_as_it_is(made):
    edit(made, *OLDER)
    before = contents(made.parent)
    store = sqlite_state(path=made, looking=True)
    await store.open()
    assert [run.id for run in await store.find(Run, {})] == [RUN]
    assert await store.find(Delivery, {}) == []
    with pytest.raises(StoreUnavailable):
        await store.commit((Put(a_run("run-2")),))
    await store.close()
    assert contents(made.parent) == before
    store = sqlite_state(path=made)
    await store.open()
    await store.commit((Put(a_run("run-2")),))
    await store.close()
    assert contents(made.parent) != before


async def test_who_only_looks_reads_what_an_older_driver_has_still_in_its_log(made):
    edit(made, *OLDER)
    living = sqlite3.connect(made, isolation_level=None)
    living.execute("UPDATE runs SET job = 'as the log says'")
    before = contents(made.parent)
    store = sqlite_state(path=made, looking=True)
    await store.open()
    assert [run.job for run in await store.find(Run, {})] == ["as the log says"]
    await store.close()
    assert contents(made.parent) == before
    living.close()


async def test_a_newer_schema_still_in_the_log_of_a_killed_process_is_untouched(made, tmp_path):
    """Closing a writable connection would fold the log into the file, so the look must be through a read-only one."""
    living = sqlite3.connect(made, isolation_level=None)
    living.execute(f"PRAGMA user_version = {NEWEST + 1}")
    remains = tmp_path / "remains"
    shutil.copytree(made.parent, remains)
    living.close()
    (remains / "state.db-shm").unlink()
    before = contents(remains)
    assert before["state.db-wal"]
    with pytest.raises(SchemaTooNew):
        await sqlite_state(path=remains / "state.db").open()
    assert contents(remains) == before


async def test_a_store_killed_in_the_middle_is_read_from_its_log(path, tmp_path):
    store = sqlite_state(path=path)
    await store.open()
    await store.commit((Put(a_run()),))
    shutil.copytree(path.parent, tmp_path / "remains")
    await store.close()
    heir = sqlite_state(path=tmp_path / "remains" / "state.db")
    await heir.open()
    assert await heir.get(Run, RUN) == a_run()
    await heir.close()


@pytest.mark.parametrize("version", [0, NEWEST, NEWEST + 1])
async def test_another_programs_database_is_refused_and_untouched(tmp_path, version):
    theirs = tmp_path / "claims.db"
    edit(theirs, "CREATE TABLE claims (id)", f"PRAGMA user_version = {version}")
    before = contents(tmp_path)
    with pytest.raises(StoreUnavailable, match=r"claims\.db is a SQLite database of another program"):
        await sqlite_state(path=theirs).open()
    assert contents(tmp_path) == before


async def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path):
    text = tmp_path / "state.db"
    text.write_text("dear diary, " * 100)
    before = contents(tmp_path)
    with pytest.raises(StoreUnavailable, match=r"state\.db is damaged or no database") as refused:
        await sqlite_state(path=text).open()
    assert "paid for twice" in refused.value.hint
    assert contents(tmp_path) == before


async def test_a_database_damaged_before_it_is_opened_says_so(made):
    data = bytearray(made.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    data[100:4096] = b"\xff" * 3996
    made.write_bytes(data)
    with pytest.raises(StoreUnavailable, match=r"state\.db is damaged"):
        await sqlite_state(path=made).open()


async def test_a_database_damaged_while_it_is_open_says_so(path):
    store = sqlite_state(path=path)
    await store.open()
    await store.commit(tuple(Put(a_run(f"run-{n}", why="x" * 3_000)) for n in range(100)))
    edit(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        for page in range(path.stat().st_size // 4096 - 40, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 200)
    other = sqlite_state(path=path)
    await other.open()
    with pytest.raises(StoreUnavailable, match=r"state\.db is damaged"):
        await other.find(Run, {"job": "triage"})
    await other.close()
    await store.close()


async def test_an_empty_file_is_a_new_store(tmp_path):
    (tmp_path / "state.db").touch()
    store = sqlite_state(path=tmp_path / "state.db")
    await store.open()
    await store.commit((Put(a_run()),))
    assert await store.get(Run, RUN) == a_run()
    await store.close()


async def test_a_path_that_cannot_be_a_file_says_so(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "state.db"):
        with pytest.raises(StoreUnavailable, match=str(tmp_path)):
            await sqlite_state(path=path).open()


async def test_a_path_with_odd_characters_is_only_a_path(tmp_path):
    path = tmp_path / "100% sure?mode=memory#1" / "state.db"
    for _ in range(2):
        store = sqlite_state(path=path)
        await store.open()
        await store.close()
    assert path.stat().st_size > 0


async def test_a_store_that_is_not_open_says_so(path):
    with pytest.raises(Bug, match="not open"):
        await sqlite_state(path=path).books(RUN)


async def test_a_lock_that_is_never_let_go_of_is_reported(made):
    store = sqlite_state(path=made, patience=0.05)
    await store.open()
    hog = sqlite3.connect(made, isolation_level=None)
    hog.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"locked by another program.*Nothing of this change was written"):
        await store.commit((Put(a_run("run-2")),))
    hog.execute("ROLLBACK")
    hog.close()
    await store.commit((Put(a_run("run-2")),))
    assert await store.get(Run, "run-2") == a_run("run-2")
    await store.close()


def test_a_migration_that_fails_changes_nothing(path):
    path.parent.mkdir()
    database = sqlite3.connect(path, isolation_level=None)
    good, bad = "CREATE TABLE a (x);\n-- ; a comment\nCREATE TABLE b (x);", "CREATE TABLE c (x);\nCREATE TABEL d (x);"
    with pytest.raises(sqlite3.OperationalError):
        _bring_forward(database, path, [good, bad])
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master ORDER BY name")]
    assert tables == ["a", "b"]
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    _bring_forward(database, path, [good, "CREATE TABLE c (x);"])
    assert database.execute("PRAGMA user_version").fetchone() == (2,)
    database.close()


async def test_a_commit_that_is_cancelled_is_finished_all_the_same(path):
    store = sqlite_state(path=path)
    await store.open()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.commit((Put(a_run()),))
    assert await store.get(Run, RUN) == a_run()
    await store.close()


async def test_a_database_without_room_says_so_and_works_on_when_there_is_some(path):
    """SQLite itself limits the pages here: the very error that it gives when the disk has no more."""
    store = sqlite_state(path=path)
    await store.open()
    pages = await store._connection.inside(lambda database: database.execute("PRAGMA page_count").fetchone()[0])
    await store._connection.inside(lambda database: database.execute(f"PRAGMA max_page_count = {pages + 1}").fetchall())
    big = a_run(why="x" * 100_000)
    with pytest.raises(StoreUnavailable, match=r"disk is full.*Nothing of this change was written") as full:
        await store.commit((Put(a_run("small")), Put(big)))
    assert "Free some space" in full.value.hint
    await store._connection.inside(lambda database: database.execute("PRAGMA max_page_count = 1000000").fetchall())
    assert await store.find(Run, {}) == []
    await store.commit((Put(big),))
    assert await store.find(Run, {}) == [big]
    await store.close()


def test_after_a_failed_sync_nobody_claims_to_know():
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    assert "not known whether the last change" in str(explain(error, Path("state.db")))


def test_our_own_mistakes_are_not_blamed_on_the_disk():
    with closing(sqlite3.connect(":memory:")) as database, pytest.raises(sqlite3.OperationalError) as error:
        database.execute("SELEKT 1")
    assert explain(error.value, Path("state.db")) is None
    assert explain(sqlite3.ProgrammingError("closed"), Path("state.db")) is None


async def test_a_read_only_folder_says_so(made):
    made.parent.chmod(0o500)
    made.chmod(0o400)
    with pytest.raises(StoreUnavailable, match=r"cannot be opened for writing") as refused:
        ordinarily(lambda: anyio.run(sqlite_state(path=made).open))
    made.parent.chmod(0o700)
    assert "must be writable" in refused.value.hint
