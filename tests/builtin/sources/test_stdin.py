"""Standard input: kept first, then read like a file."""

import json
import os
import subprocess
import sys
import threading
from contextlib import aclosing, contextmanager
from pathlib import Path

import anyio
import pytest

from batchflow.builtin.sources.jsonl import jsonl
from batchflow.builtin.sources.stdin import Stdin, stdin
from batchflow.model.errors import SourceError
from batchflow.testing.source import SourceContract, items_of, pages_of


@contextmanager
def piped(content: bytes, *, chunk: int = 70_000):
    """A pipe that somebody writes to while it is read."""

    def write() -> None:
        for start in range(0, len(content), chunk):
            os.write(target, content[start : start + chunk])
        os.close(target)

    source, target = os.pipe()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield source
    finally:
        os.close(source)
        writer.join()


def reading(spool: Path, descriptor: int) -> Stdin:
    return Stdin(spool, jsonl(path=spool / "stdin", key="id"), descriptor=descriptor)


class Pipe:
    """Its first reading keeps what comes in; the others read what was kept."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, records) -> None:
        self.path.mkdir(exist_ok=True)
        (self.path / "came").write_text("".join(f"{json.dumps(record)}\n" for record in records))
        (self.path / "spool" / "stdin").unlink(missing_ok=True)

    def source(self):
        return FromFile(self.path / "spool", self.path / "came")


class FromFile(Stdin):
    """Standard input as the shell gives it with `< file`."""

    def __init__(self, spool: Path, came: Path) -> None:
        self._came = came
        super().__init__(spool, jsonl(path=spool / "stdin", key="id"))

    async def read(self, after):
        with self._came.open("rb") as file:
            self._descriptor = file.fileno()
            async with aclosing(super().read(after)) as pages:
                async for page in pages:
                    yield page


class TestStdin(SourceContract):
    fingerprinted = False

    @pytest.fixture
    def place(self, tmp_path):
        return Pipe(tmp_path / "pipe")


async def test_a_pipe_is_kept_whole_and_read_again_without_it(tmp_path):
    lines = b"".join(b'{"id":"%d","t":"%b"}\n' % (number, b"x" * 500) for number in range(3000))
    with piped(lines) as descriptor:
        first = await pages_of(reading(tmp_path / "s", descriptor))
    assert (tmp_path / "s" / "stdin").read_bytes() == lines
    assert first[0].items[0].origin == "stdin:1"
    again = await items_of(reading(tmp_path / "s", -1), first[0].cursor)
    assert again == [item for page in first[1:] for item in page.items]


async def test_a_part_that_an_earlier_run_left_is_written_over(tmp_path):
    (tmp_path / "stdin.part").write_text('{"id":"half')
    with piped(b'{"id":"1"}\n') as descriptor:
        assert [item.key for item in await items_of(reading(tmp_path, descriptor))] == ["1"]


async def test_waiting_for_a_pipe_can_be_canceled_and_leaves_nothing_that_looks_whole(tmp_path):
    source, target = os.pipe()
    os.write(target, b'{"id":"1"}\n')
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(items_of, reading(tmp_path, source))
            while not (tmp_path / "stdin.part").exists() or not (tmp_path / "stdin.part").stat().st_size:
                await anyio.sleep(0.01)
            scope.cancel()
    os.close(source)
    os.close(target)
    assert not (tmp_path / "stdin").exists()


async def test_a_kept_copy_that_is_gone_is_an_error_and_not_a_new_stream(tmp_path):
    with pytest.raises(SourceError, match="is gone"):
        await items_of(reading(tmp_path, -1), {"file": "stdin", "offset": 0, "line": 1})


async def test_without_a_folder_it_says_what_to_give():
    with pytest.raises(SourceError) as caught:
        await items_of(stdin(key="id"))
    assert "spool" in caught.value.hint


READ = """
import sys, anyio
from pathlib import Path
from batchflow.builtin.sources.stdin import stdin
from batchflow.model.errors import SourceError
async def main():
    source = stdin(key="id", format=sys.argv[2], spool=Path(sys.argv[1]))
    try:
        print([item.key async for page in source.read(None) for item in page.items])
    except SourceError as error:
        print(error, "|", error.hint)
anyio.run(main)
"""


def read_in_a_process(tmp_path, format_, **streams) -> str:
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path, format_], stdout=subprocess.PIPE, text=True, check=True, **streams
    )
    return done.stdout.strip()


@pytest.mark.parametrize(("format_", "given"), [("jsonl", '{"id":"1"}\n{"id":2}'), ("csv", "id,x\n1,a\n2,b\n")])
def test_a_process_reads_what_is_piped_into_it(tmp_path, format_, given):
    assert read_in_a_process(tmp_path, format_, input=given) == "['1', '2']"


def test_nothing_at_all_is_an_empty_source(tmp_path):
    assert read_in_a_process(tmp_path, "jsonl", stdin=subprocess.DEVNULL) == "[]"


def test_a_terminal_is_refused_with_the_command_to_type(tmp_path):
    person, terminal = os.openpty()
    assert "is a terminal | pipe records in" in read_in_a_process(tmp_path, "jsonl", stdin=terminal)
    os.close(person)
    os.close(terminal)


def test_a_closed_standard_input_is_refused(tmp_path):
    said = read_in_a_process(tmp_path, "jsonl", preexec_fn=lambda: os.close(0))
    assert "there is no standard input" in said
