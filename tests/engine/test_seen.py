"""Duplicate keys: exact answers, bounded memory, and a scratch folder that never lies."""

import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.engine.seen import Census, Repeat, SeenKeys
from batchflow.engine.seen.runs import merge, split, write_run
from batchflow.model.errors import StoreUnavailable

keys = st.integers(0, 40).map(str)
steps = st.one_of(
    st.tuples(st.just("add"), st.lists(keys, max_size=12)),
    st.tuples(st.just("checkpoint"), st.none() | st.integers(0, 15)),
    st.tuples(st.just("reopen"), st.none()),
)


class Model:
    """What `SeenKeys` must answer, with a list."""

    def __init__(self) -> None:
        self.committed: list[str] = []
        self.pending: list[str] = []

    def add(self, page: list[str]) -> list[bool]:
        answers = []
        for key in page:
            answers.append(key in self.committed or key in self.pending)
            self.pending.append(key)
        return answers

    def checkpoint(self, count: int | None) -> None:
        count = len(self.pending) if count is None else count
        self.committed += self.pending[:count]
        self.pending = self.pending[count:]


@settings(max_examples=120, deadline=None)
@given(script=st.lists(steps, max_size=25), limit=st.sampled_from([1, 3, 10, 1000]))
def test_answers_are_those_of_a_list_whatever_is_checkpointed_and_lost(script, limit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    seen, model, label = SeenKeys(folder, limit=limit), Model(), None
    for number, (verb, value) in enumerate(script):
        if verb == "add":
            assert seen.add_page(value) == model.add(value)
        elif verb == "checkpoint":
            count = None if value is None else min(value, len(model.pending))
            label = f"batch {number}"
            seen.checkpoint(label, keys=count)
            model.checkpoint(count)
        else:
            seen.close()
            seen, model.pending = SeenKeys(folder, limit=limit), []
        assert seen.label == label
    seen.close()


def numbered(start: int, stop: int) -> list[str]:
    return [f"claim-{number}" for number in range(start, stop)]


def fill(folder: Path, count: int, **settings_) -> SeenKeys:
    seen = SeenKeys(folder, **settings_)
    for start in range(0, count, 500):
        seen.add_page(numbered(start, start + 500))
        seen.checkpoint(f"upto {start + 500}")
    return seen


def test_many_keys_through_many_merges_are_all_remembered(tmp_path):
    seen = fill(tmp_path, 20_000, limit=200)
    assert len(list(tmp_path.glob("*.run"))) < 20, "eight runs of a tier become one"
    for reopened in (seen, SeenKeys(tmp_path)):
        assert all(reopened.add_page(numbered(0, 20_000)))
        assert not any(reopened.add_page(numbered(20_000, 30_000)))
        reopened.close()


def test_what_was_not_checkpointed_is_new_again(tmp_path):
    seen = SeenKeys(tmp_path, limit=10)
    seen.add_page(numbered(0, 25))
    seen.checkpoint("a", keys=12)
    seen.add_page(numbered(25, 50))
    seen.close()
    again = SeenKeys(tmp_path, limit=10)
    assert again.label == "a"
    assert again.add_page(numbered(0, 50)) == [True] * 12 + [False] * 38
    again.close()


def test_more_keys_than_were_added_cannot_be_committed(tmp_path):
    seen = SeenKeys(tmp_path)
    seen.add_page(["a", "b"])
    with pytest.raises(ValueError, match="2 were added"):
        seen.checkpoint("x", keys=3)
    seen.close()


def test_a_new_folder_knows_nothing_and_says_so(tmp_path):
    seen = SeenKeys(tmp_path / "deep" / "down")
    assert seen.label is None
    assert seen.add_page(["a", "a", ""]) == [False, True, False]
    seen.close()


def test_a_rebuilt_one_knows_what_it_was_told_and_nothing_else(tmp_path):
    seen = fill(tmp_path, 5000, limit=700)
    seen.rebuild((numbered(start, start + 100) for start in range(3000, 6000, 100)), "rebuilt")
    seen.close()
    again = SeenKeys(tmp_path, limit=700)
    assert again.label == "rebuilt"
    assert not any(again.add_page(numbered(0, 3000)))
    assert all(again.add_page(numbered(3000, 6000)))
    again.close()


def test_a_rebuild_that_is_broken_off_is_not_taken_for_a_whole_one(tmp_path):
    def broken():
        yield from (numbered(start, start + 100) for start in range(0, 2000, 100))
        raise InterruptedError

    seen = fill(tmp_path, 5000, limit=700)
    with pytest.raises(InterruptedError):
        seen.rebuild(broken(), "rebuilt")
    seen.close()
    again = SeenKeys(tmp_path, limit=700)
    assert again.label is None
    again.close()


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove"])
def test_a_damaged_file_is_found_out_and_nothing_is_believed(damage, tmp_path):
    names = {path.name for path in _made(tmp_path / "0")}
    for number, name in enumerate(sorted(names), 1):
        folder = tmp_path / str(number)
        _made(folder)
        assert _damage(folder / name, damage)
        seen = SeenKeys(folder, limit=700)
        grown_journal = damage == "grow" and name.endswith(".journal")  # what follows its committed part never counted
        assert seen.label == ("upto 5000" if grown_journal else None), name
        assert any(seen.add_page(numbered(0, 5000))) == grown_journal
        seen.checkpoint("again")
        seen.close()
        healed = SeenKeys(folder, limit=700)
        assert healed.label == "again"
        healed.close()


def _made(folder: Path) -> list[Path]:
    fill(folder, 5000, limit=700).close()
    # The seed is random, and with it the content; the names are not.
    return [path for path in folder.iterdir() if path.stat().st_size]


def _damage(path: Path, how: str) -> bool:
    content = path.read_bytes()
    match how:
        case "flip":
            path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
        case "cut":
            path.write_bytes(content[:-16])
        case "grow":
            path.write_bytes(content + content[-16:])
        case _:
            path.unlink()
    return True


def test_files_that_no_checkpoint_names_are_removed_and_other_peoples_are_not(tmp_path):
    fill(tmp_path, 2000, limit=700).close()
    for name in ("000000000099999.0.run", "000000000099999.journal", "mark.new", "notes.txt"):
        (tmp_path / name).write_text("x")
    SeenKeys(tmp_path).close()
    left = {path.name for path in tmp_path.iterdir()}
    assert "notes.txt" in left
    assert not left & {"000000000099999.0.run", "000000000099999.journal", "mark.new"}


WORK = """
import sys
from pathlib import Path
from batchflow.engine.seen import SeenKeys
seen = SeenKeys(Path(sys.argv[1]), limit=300)
start = int(seen.label or 0)
while True:
    seen.add_page([f"claim-{number}" for number in range(start, start + 110)])
    start += 100
    seen.checkpoint(str(start), keys=100)
    print(start, flush=True)
    seen.close()
    seen = SeenKeys(Path(sys.argv[1]), limit=300)
"""


def test_a_killed_process_leaves_exactly_its_last_checkpoint(tmp_path):
    said = 0
    for lines in (3, 7, 12, 40):
        process = subprocess.Popen([sys.executable, "-c", WORK, tmp_path], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        for _ in range(lines):
            said = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        said = max([said, *(int(line) for line in process.stdout.read().splitlines() if line.strip())])
        process.wait()
        process.stdout.close()
        seen = SeenKeys(tmp_path, limit=300)
        assert seen.label in {str(said), str(said + 100)}
        committed = int(seen.label)
        assert all(seen.add_page(numbered(0, committed)))
        assert not any(seen.add_page(numbered(committed, committed + 200)))
        seen.close()


FULL = """
import resource, signal, sys
from pathlib import Path
from batchflow.engine.seen import SeenKeys
from batchflow.model.errors import StoreUnavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
seen = SeenKeys(Path(sys.argv[1]))
seen.checkpoint("good")
try:
    for start in range(0, 100_000, 500):
        seen.add_page([f"claim-{number}" for number in range(start, start + 500)])
except StoreUnavailable as error:
    print(error.hint)
"""


def test_a_full_disk_is_an_error_that_says_that_nothing_is_lost(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], stdout=subprocess.PIPE, text=True, check=False)
    assert "nothing is lost" in done.stdout
    seen = SeenKeys(tmp_path)
    assert seen.label == "good"
    seen.close()


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="file"):
        SeenKeys(tmp_path / "file" / "seen")


def test_memory_does_not_grow_with_the_keys(tmp_path):
    peaks = []
    for count in (65_000, 130_000):
        tracemalloc.start()
        fill(tmp_path / str(count), count, limit=1000).close()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 500_000, "65,000 hashes in a set are 6 MB"


def test_no_file_is_left_open(tmp_path):
    before = len(list(Path("/dev/fd").iterdir()))
    fill(tmp_path, 5000, limit=500).close()
    assert len(list(Path("/dev/fd").iterdir())) == before


entries = st.lists(st.binary(min_size=16, max_size=16).map(lambda raw: bytes(byte & 1 for byte in raw)), max_size=60)


@settings(max_examples=100, deadline=None)
@given(present=entries, asked=entries)
def test_a_run_finds_what_it_holds_and_only_that(present, asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run = write_run(folder, "a.run", 0, [b"".join(sorted(present))], width=16)
    doubled = b"".join(sorted(present)) * 2
    shifted = [doubled[at : at + 16] for at in range(0, len(present) * 16, 7)]
    for entry in [*present, *asked, *shifted]:
        assert (entry in run) == (entry in present)
    run.close()


def test_a_run_finds_entries_at_every_fence(tmp_path):
    present = [(number * 3).to_bytes(8, "big") * 2 for number in range(5000)]
    run = write_run(tmp_path, "a.run", 0, (b"".join(present[at : at + 700]) for at in range(0, 5000, 700)), width=16)
    assert all(entry in run for entry in present)
    assert not any((number * 3 + 1).to_bytes(8, "big") * 2 in run for number in range(-1 + 1, 5000))
    run.close()


@settings(max_examples=80, deadline=None)
@given(parts=st.lists(st.lists(st.binary(min_size=2, max_size=2), max_size=40), min_size=1, max_size=9))
def test_merged_runs_are_the_sorted_whole(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merge")
    runs = [
        write_run(folder, f"{number}.run", 0, [b"".join(sorted(part))], width=2) for number, part in enumerate(parts)
    ]
    merged = [entry for piece in merge(runs, 2, budget=16) for entry in piece]
    assert merged == sorted(entry for part in parts for entry in part)
    for run in runs:
        run.close()


def test_a_block_is_split_into_its_entries():
    assert split(b"aabbcc", 2) == [b"aa", b"bb", b"cc"]


pages = st.lists(st.lists(st.none() | keys, max_size=9), max_size=20)


@settings(max_examples=120, deadline=None)
@given(pages=pages, limit=st.sampled_from([1, 5, 1000]))
def test_a_census_finds_the_first_repeat_and_every_superseded_item(pages, limit, tmp_path_factory):
    items = [key for page in pages for key in page]
    last = {key: number for number, key in enumerate(items)}
    repeats = [
        Repeat(number, items.index(key))
        for number, key in enumerate(items)
        if key is not None and key in items[:number]
    ]
    folder = tmp_path_factory.mktemp("census")
    assert taken(folder, pages, limit).first_repeat() == (repeats[0] if repeats else None)
    superseded = taken(folder, pages, limit).superseded()
    expected = [key is not None and last[key] != number for number, key in enumerate(items)]
    assert superseded.count == sum(expected)
    for start in range(len(items)):
        for count in (1, 4, len(items) - start):
            window = expected[start : start + count]
            assert superseded.page(start, len(window)) == window
    superseded.close()


def taken(folder: Path, pages, limit: int) -> Census:
    census = Census(folder, limit=limit)
    for page in pages:
        census.add_page(page)
    return census


def test_a_census_of_one_key_fifty_thousand_times_takes_no_more_memory(tmp_path):
    tracemalloc.start()
    census = Census(tmp_path, limit=2000)
    for _ in range(100):
        census.add_page(["same"] * 500)
    superseded = census.superseded()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert superseded.count == 49_999
    assert superseded.page(49_990, 10) == [True] * 9 + [False]
    superseded.close()
    assert peak < 6_000_000


def test_a_census_leaves_only_its_answer(tmp_path):
    census = Census(tmp_path, limit=10)
    census.add_page(numbered(0, 100) + numbered(0, 3))
    census.superseded().close()
    assert [path.name for path in tmp_path.iterdir()] == ["superseded"]
    census = Census(tmp_path, limit=10)
    census.add_page(numbered(0, 100))
    census.close()
    assert [path.name for path in tmp_path.iterdir()] == ["superseded"]
