"""Several processes on one file, processes killed in the middle, and a disk that is full: real ones, all of them."""

import sqlite3
import subprocess
import sys

import pytest

from batchflow.builtin.stores.sqlite import sqlite_state
from batchflow.model.state import Event, Run
from batchflow.testing.samples import RUN

PROGRAM = """
import asyncio, resource, sys
from pathlib import Path
from batchflow.builtin.stores.sqlite import sqlite_state
from batchflow.model.change import Cap, Count, Note, Put
from batchflow.model.errors import OverCap, Stale, StoreUnavailable
from batchflow.model.state import Run
from batchflow.testing.samples import RUN, a_run, after, an_event

path, name = Path(sys.argv[1]), sys.argv[2]

async def body(store):
    {body}

async def main():
    store = sqlite_state(path=path)
    print("ready", flush=True)
    sys.stdin.readline()
    await store.open()
    try:
        await body(store)
    finally:
        await store.close()

asyncio.run(main())
"""


def start(path, name, body):
    program = PROGRAM.replace("{body}", "\n    ".join(body.strip().splitlines()))
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def go(*children):
    """Lets all of them loose at the same moment, once all are there."""
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "state.db"


@pytest.fixture
async def reopened(path):
    """The store as it is found afterwards; open it with `await reopened.open()`."""
    store = sqlite_state(path=path)
    yield store
    await store.close()


HAMMER = """
await store.commit((Note(an_event("first")),))
done = 0
while done < 40:
    run = await store.get(Run, RUN)
    put = Put(after(run, why=name)) if run else Put(a_run(why=name))
    try:
        await store.commit((put, Count(RUN, {"read": 1}), Note(an_event(f"{name}-{done}"))))
        done += 1
    except Stale:
        pass
"""


async def test_processes_hammering_one_file_lose_nothing(path, reopened):
    children = [start(path, f"child-{n}", HAMMER) for n in range(2)]
    go(*children)
    assert [child.wait() for child in children] == [0, 0]
    await reopened.open()
    run = await reopened.get(Run, RUN)
    assert run.version == 80
    assert (await reopened.books(RUN))["read"] == 80
    assert len(await reopened.find(Event, {})) == 81
    [child.communicate() for child in children]


async def test_processes_that_open_a_new_store_at_once_agree_on_its_schema(path, reopened):
    children = [start(path, f"child-{n}", "await store.commit((Note(an_event(name)),))") for n in range(3)]
    go(*children)
    assert [child.wait() for child in children] == [0, 0, 0]
    await reopened.open()
    assert len(await reopened.find(Event, {})) == 3
    [child.communicate() for child in children]


async def test_processes_cannot_break_a_cap_together(path, reopened):
    spend = """
for _ in range(30):
    try:
        await store.commit((Count(RUN, {"reserved": 3}), Cap(RUN, ("reserved",), 100)))
    except OverCap:
        pass
"""
    children = [start(path, f"child-{n}", spend) for n in range(2)]
    go(*children)
    assert [child.wait() for child in children] == [0, 0]
    await reopened.open()
    assert (await reopened.books(RUN))["reserved"] == 99
    [child.communicate() for child in children]


@pytest.mark.parametrize("answers", [1, 25])
async def test_a_killed_process_leaves_whole_commits_and_all_that_were_answered(path, reopened, answers):
    endless = """
n = 0
while True:
    await store.commit((Note(an_event(f"{n:06}")), Count(RUN, {"read": 1, "rows": 2})))
    print(n, flush=True)
    n += 1
"""
    child = start(path, "victim", endless)
    go(child)
    told = [int(child.stdout.readline()) for _ in range(answers)]
    child.kill()
    told += [int(line) for line in child.stdout.read().splitlines()]
    child.communicate()
    await reopened.open()
    events = [int(event.id) for event in await reopened.find(Event, {}, limit=1_000_000)]
    books = await reopened.books(RUN)
    assert events == list(range(len(events)))
    assert (books["read"], books["rows"]) == (len(events), 2 * len(events))
    assert len(told) <= len(events) <= len(told) + 1


async def test_a_full_disk_is_reported_and_loses_nothing(path, reopened):
    """The limit on file sizes stands in for the disk: the write fails half-way, as it does on a full one."""
    fill = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
done = 0
try:
    while True:
        await store.commit((Note(an_event(f"{done:06}", text="x" * 5_000)), Count(RUN, {"read": 1})))
        done += 1
except StoreUnavailable as full:
    assert "Nothing of this change was written" in str(full), full
    assert str(path) in str(full)
    assert full.hint
    assert (await store.books(RUN))["read"] == done
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
await store.commit((Count(RUN, {"rows": done}),))
"""
    child = start(path, "filler", fill)
    go(child)
    child.communicate()
    assert child.returncode == 0
    await reopened.open()
    books = await reopened.books(RUN)
    assert books["read"] == books["rows"] == len(await reopened.find(Event, {})) > 10
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_a_disk_that_is_full_from_the_start_is_reported(path):
    program = """
import asyncio, resource, sys
from pathlib import Path
from batchflow.builtin.stores.sqlite import sqlite_state
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
asyncio.run(sqlite_state(path=Path(sys.argv[1])).open())
"""
    path.parent.mkdir()
    ended = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"StoreUnavailable: {path} could not be read or written" in ended.stderr


async def test_processes_that_come_and_go_do_not_trip_over_each_other(path, reopened):
    """Whoever closes last folds the log away, perhaps just when somebody else looks at the file."""
    come_and_go = """
for _ in range(40):
    await store.close()
    await store.open()
    await store.commit((Count(RUN, {"read": 1}),))
"""
    children = [start(path, f"child-{n}", come_and_go) for n in range(3)]
    go(*children)
    assert [child.wait() for child in children] == [0, 0, 0]
    await reopened.open()
    assert (await reopened.books(RUN))["read"] == 120
    [child.communicate() for child in children]
