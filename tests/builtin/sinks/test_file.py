"""What the file sinks do with a file that is not only theirs."""

import errno
import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.sinks.csv import csv
from batchflow.builtin.sinks.diagnosis import cannot_write
from batchflow.builtin.sinks.jsonl import jsonl
from batchflow.model.errors import SinkError
from batchflow.testing.sink import context, part, part_that_breaks, result, results

FIELDS = {"k": "key"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.jsonl"


def sink_on(path, **options):
    return jsonl(path=path, fields=FIELDS, **options)


async def session(sink, last, *parts, run="run-1", commits=False):
    await sink.open(context(run, fresh=last is None), last)
    try:
        for one in parts:
            last = await sink.write(one)
            if commits:
                await sink.committed(last)
    finally:
        await sink.close()
    return last


def keys(path):
    return [json.loads(line)["k"] for line in path.read_bytes().splitlines()]


def lines(first, count):
    return b"".join(b'{"k":"%s"}\n' % row.key.encode() for row in results(first, count))


def redo(path):
    return path.with_name(f".{path.name}.batchflow")


@contextmanager
def largest_file(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def refused(sink, last, path, *, match, run="run-1", fresh=None):
    """Asserts that opening is refused, and that the file stays as it is."""
    before = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(SinkError, match=match) as caught:
        await sink.open(context(run, fresh=last is None if fresh is None else fresh), last)
    await sink.close()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert caught.value.hint
    return caught.value


class TestWhatExists:
    async def test_a_file_that_exists_is_refused_by_default(self, path):
        path.write_text("mine\n")
        error = await refused(sink_on(path), None, path, match="exists and holds 5 bytes")
        assert "if_exists: append" in error.hint
        assert "if_exists: overwrite" in error.hint

    async def test_an_empty_file_is_as_good_as_none(self, path):
        path.touch()
        await session(sink_on(path), None, part("p", results(0, 1)))
        assert path.read_bytes() == lines(0, 1)

    async def test_append_begins_after_what_is_there(self, path):
        path.write_bytes(b'{"k":"theirs"}\n')
        await session(sink_on(path, if_exists="append"), None, part("p", results(0, 2)))
        assert path.read_bytes() == b'{"k":"theirs"}\n' + lines(0, 2)

    async def test_append_begins_a_new_line_after_one_that_does_not_end(self, path):
        path.write_bytes(b'{"k":"theirs"}')
        await session(sink_on(path, if_exists="append"), None, part("p", results(0, 2)))
        assert path.read_bytes() == b'{"k":"theirs"}\n' + lines(0, 2)

    async def test_overwrite_replaces_what_is_there_when_the_first_part_comes(self, path):
        path.write_text("old\n" * 100)
        await session(sink_on(path, if_exists="overwrite"), None)
        assert path.read_text() == "old\n" * 100
        await session(sink_on(path, if_exists="overwrite"), None, part("p", results(0, 1)), part("q", results(1, 1)))
        assert path.read_bytes() == lines(0, 2)

    async def test_a_first_part_after_overwrite_survives_a_lost_receipt(self, path):
        path.write_text("old\n" * 100)
        for _ in range(3):
            await session(sink_on(path, if_exists="overwrite"), None, part("p", results(0, 2)))
        assert path.read_bytes() == lines(0, 2)

    async def test_what_exists_is_judged_only_when_fresh(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 1)))
        await session(sink_on(path, if_exists="overwrite"), last, part("q", results(1, 1)))
        assert path.read_bytes() == lines(0, 2)

    async def test_a_second_run_may_append_to_the_file_of_the_first(self, path):
        await session(sink_on(path), None, part("p", results(0, 2)), commits=True)
        await session(sink_on(path, if_exists="append"), None, part("p", results(2, 2)), run="run-2")
        assert path.read_bytes() == lines(0, 4)

    async def test_a_line_torn_by_another_run_is_not_appended_to(self, path):
        await session(sink_on(path), None, part("p", results(0, 2)))
        os.truncate(path, path.stat().st_size - 3)
        error = await refused(sink_on(path, if_exists="append"), None, path, match="run-1 was killed", run="run-2")
        assert "batchflow resume run-1" in error.hint

    async def test_folders_are_made(self, tmp_path):
        path = tmp_path / "a" / "b" / "out.jsonl"
        await session(sink_on(path), None, part("p", results(0, 1)))
        assert path.read_bytes() == lines(0, 1)

    async def test_the_file_is_readable_to_others_as_the_umask_says_and_the_redo_log_to_nobody(self, path):
        before = os.umask(0o022)
        try:
            await session(sink_on(path), None, part("p", results(0, 1)))
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o644
        assert redo(path).stat().st_mode & 0o777 == 0o600

    async def test_a_link_is_followed(self, tmp_path):
        link = tmp_path / "link.jsonl"
        (tmp_path / "far").mkdir()
        link.symlink_to(tmp_path / "far" / "out.jsonl")
        await session(sink_on(link), None, part("p", results(0, 1)))
        assert (tmp_path / "far" / "out.jsonl").read_bytes() == lines(0, 1)
        assert link.is_symlink()


class TestResume:
    async def test_the_redo_log_is_gone_once_the_commit_was_told(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 1)))
        assert redo(path).exists()
        await session(sink_on(path), last, part("q", results(1, 1)), commits=True)
        assert not redo(path).exists()

    async def test_a_file_of_another_inode_is_refused(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        shutil.copy(path, path.with_name("copy"))
        path.with_name("copy").replace(path)
        await refused(sink_on(path), last, path, match="another file")

    async def test_a_file_that_became_shorter_is_refused(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        os.truncate(path, 5)
        await refused(sink_on(path), last, path, match="shorter")

    async def test_a_file_whose_last_lines_were_edited_is_refused(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        with path.open("r+b") as file:
            file.write(b"X")
        await refused(sink_on(path), last, path, match="was changed")

    async def test_a_file_that_is_gone_is_refused_and_not_made_again(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        path.unlink()
        with pytest.raises(SinkError, match="it is gone"):
            await sink_on(path).open(context(fresh=False), last)
        assert not path.exists()

    async def test_lines_that_others_added_meanwhile_are_never_cut(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        with path.open("ab") as file:
            file.write(b"theirs\n")
        error = await refused(sink_on(path), last, path, match="7 bytes after byte 32")
        assert f"truncate -s 32 {path}" in error.hint

    async def test_lines_that_others_added_after_our_torn_line_are_never_cut(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        await session(sink_on(path), last, part("q", results(2, 2)))
        os.truncate(path, path.stat().st_size - 3)
        with path.open("ab") as file:
            file.write(b"theirs\n")
        await refused(sink_on(path), last, path, match="cannot recognise")

    async def test_following_the_hint_lets_the_run_go_on(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        with path.open("ab") as file:
            file.write(b"theirs\n")
        error = await refused(sink_on(path), last, path, match="cannot recognise")
        subprocess.run(error.hint.split("`")[3], shell=True, check=True)  # noqa: ASYNC221 -- nothing else runs
        await session(sink_on(path), last, part("q", results(2, 2)))
        assert path.read_bytes() == lines(0, 4)

    async def test_a_tail_without_a_redo_log_is_nobodys_proof(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        await session(sink_on(path), last, part("q", results(2, 2)))
        redo(path).unlink()
        await refused(sink_on(path), last, path, match="cannot recognise")

    async def test_a_damaged_redo_log_proves_nothing(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        await session(sink_on(path), last, part("q", results(2, 2)))
        redo(path).write_bytes(b"{half a header")
        await refused(sink_on(path), last, path, match="cannot recognise")

    async def test_lines_of_others_that_equal_ours_are_not_ours_in_another_place(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        with path.open("ab") as file:
            file.write(lines(0, 1))
        await refused(sink_on(path), last, path, match="cannot recognise")

    async def test_another_sinks_redo_log_proves_nothing(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 2)))
        await session(sink_on(path), last, part("q", results(2, 2)))
        await refused(sink_on(path), last, path, match="cannot recognise", run="run-2")

    async def test_a_file_edited_before_the_first_receipt_is_left_alone_until_the_redo_log_is_deleted(self, path):
        path.write_bytes(b'{"k":"theirs"}\n')
        await session(sink_on(path, if_exists="append"), None, part("p", results(0, 2)))
        path.write_bytes(b'{"k":"edited"}\n')
        with path.open("ab") as file:
            file.write(b"more\n")
        error = await refused(sink_on(path, if_exists="append"), None, path, match="was changed")
        assert f"delete {redo(path)} first" in error.hint
        redo(path).unlink()
        await session(sink_on(path, if_exists="append"), None, part("p", results(0, 2)))
        assert path.read_bytes() == b'{"k":"edited"}\nmore\n' + lines(0, 2)

    async def test_an_interrupted_first_part_needs_no_receipt(self, path):
        await session(sink_on(path), None, part("p", results(0, 3)))
        os.truncate(path, 20)
        await session(sink_on(path), None, part("p", results(0, 3)))
        assert path.read_bytes() == lines(0, 3)

    @given(
        cut=st.integers(0, 200),
        theirs=st.one_of(st.just(b""), st.just(b"\n"), st.binary(max_size=20), st.integers(1, 80).map(bytes)),
        committed=st.booleans(),
        before=st.sampled_from([b"", b'{"k":"first"}\n', b"no end of line"]),
    )
    @settings(max_examples=60, deadline=None)
    def test_whatever_the_tail_is_ours_is_mended_and_theirs_is_untouched(self, cut, theirs, committed, before):
        anyio.run(self._whatever, cut, theirs, committed, before)

    async def _whatever(self, cut, theirs, committed, before):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "out.jsonl"
            path.write_bytes(before)
            mine = before + (b"\n" if before.startswith(b"no") else b"")
            last = (
                await session(sink_on(path, if_exists="append"), None, part("p", results(0, 2))) if committed else None
            )
            base = mine + lines(0, 2) if committed else before
            await session(sink_on(path, if_exists="append"), last, part("q", results(2, 10)))
            whole = path.read_bytes()
            torn = whole[: len(base) + cut] + theirs
            path.write_bytes(torn)
            await self._reopen(path, last, base, torn, whole)

    async def _reopen(self, path, last, base, torn, whole):
        again = part("q", results(2, 10)[::-1], chunk=3)
        # Zeros are what a power cut leaves where our bytes were to come.
        if len(torn) <= len(whole) and all(byte in (0, ours) for byte, ours in zip(torn, whole, strict=False)):
            await session(sink_on(path, if_exists="append"), last, again)
            assert path.read_bytes().startswith(base)
            assert b"\0" not in path.read_bytes()
            assert sorted(path.read_bytes()[len(base) :].splitlines()) == sorted(whole[len(base) :].splitlines())
        else:
            await refused(sink_on(path, if_exists="append"), last, path, match="cannot recognise")


class TestLock:
    async def test_two_sinks_on_one_path_are_refused(self, path):
        first = sink_on(path)
        await first.open(context(), None)
        await refused(sink_on(path), None, path, match="being written by another")
        await first.write(part("p", results(0, 1)))
        await first.close()
        assert path.read_bytes() == lines(0, 1)

    async def test_a_file_locked_by_another_program_is_refused(self, path):
        path.touch()
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            await refused(sink_on(path), None, path, match="being written by another")
        await session(sink_on(path), None, part("p", results(0, 1)))

    async def test_lines_added_by_others_while_we_write_are_noticed_and_kept(self, path):
        sink = sink_on(path)
        await sink.open(context(), None)
        await sink.write(part("p", results(0, 1)))
        with path.open("ab") as file:
            file.write(b"theirs\n")
        with pytest.raises(SinkError, match="cannot recognise"):
            await sink.write(part("q", results(1, 1)))
        await sink.close()
        assert path.read_bytes() == lines(0, 1) + b"theirs\n"

    async def test_a_file_moved_away_while_we_write_is_noticed(self, path):
        sink = sink_on(path)
        await sink.open(context(), None)
        await sink.write(part("p", results(0, 1)))
        path.rename(path.with_name("moved"))
        with pytest.raises(SinkError, match="moved or replaced"):
            await sink.write(part("q", results(1, 1)))
        await sink.close()
        assert not path.exists()


class TestFullDisk:
    async def test_a_part_that_does_not_fit_leaves_the_file_as_it_was_and_fits_later(self, path):
        sink = sink_on(path)
        await sink.open(context(), None)
        await sink.write(part("p", results(0, 200)))
        with largest_file(path.stat().st_size + 2000), pytest.raises(SinkError) as caught:
            await sink.write(part("q", results(200, 150)))
        assert path.read_bytes() == lines(0, 200)
        assert str(path) in caught.value.message
        assert "No result is lost" in caught.value.message
        assert "free some space" in caught.value.hint
        await sink.write(part("q", results(200, 150)))
        await sink.close()
        assert path.read_bytes() == lines(0, 350)

    async def test_a_part_that_did_not_fit_is_written_by_the_next_run_of_the_program(self, path):
        last = await session(sink_on(path), None, part("p", results(0, 200)))
        with largest_file(path.stat().st_size + 2000), pytest.raises(SinkError, match="File too large"):
            await session(sink_on(path), last, part("q", results(200, 150)))
        await session(sink_on(path), last, part("q", results(200, 150)))
        assert path.read_bytes() == lines(0, 350)

    async def test_a_first_part_that_does_not_fit_leaves_an_empty_file(self, path):
        with largest_file(1000), pytest.raises(SinkError, match="File too large"):
            await session(sink_on(path), None, part("p", results(0, 200)))
        assert path.read_bytes() == b""
        await session(sink_on(path), None, part("p", results(0, 200)))
        assert path.read_bytes() == lines(0, 200)

    @pytest.mark.parametrize("device", ["/dev/full", "/dev/null"])
    async def test_a_device_is_refused(self, device):
        with pytest.raises(SinkError, match=f"{device} is not a regular file"):
            await sink_on(Path(device)).open(context(), None)

    async def test_a_pipe_is_refused(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(SinkError, match="not a regular file"):
            await sink_on(tmp_path / "pipe").open(context(), None)

    async def test_a_folder_is_refused(self, tmp_path):
        with pytest.raises(SinkError, match="not a regular file"):
            await sink_on(tmp_path).open(context(), None)

    async def test_a_folder_that_cannot_be_made_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "out.jsonl"
        with pytest.raises(SinkError, match=rf"cannot write {path}: File exists \({tmp_path}/file\)"):
            await sink_on(path).open(context(), None)

    def test_a_folder_without_permission_is_named_with_the_next_step(self):
        error = cannot_write(Path("/data/out.jsonl"), PermissionError(13, "Permission denied"))
        assert error.message.startswith("cannot write /data/out.jsonl: Permission denied")
        assert "make /data and the file writable" in error.hint

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
    def test_where_there_is_no_room_the_next_step_is_to_make_some(self, number):
        error = cannot_write(Path("/data/out.jsonl"), OSError(number, os.strerror(number)))
        assert os.strerror(number) in error.message
        assert "free some space" in error.hint


class TestCsv:
    async def test_the_header_stands_once_at_the_beginning(self, tmp_path):
        path = tmp_path / "out.csv"
        last = await session(csv(path=path, fields={"id": "key", "text": "text"}), None, part("p", [result("a", "1")]))
        await session(csv(path=path, fields={"id": "key", "text": "text"}), last, part("q", [result("b", "2")]))
        assert path.read_bytes() == b"id,text\r\na,1\r\nb,2\r\n"

    async def test_no_rows_still_give_a_header(self, tmp_path):
        path = tmp_path / "out.csv"
        await session(csv(path=path, fields={"id": "key"}), None, part("p", []))
        assert path.read_bytes() == b"id\r\n"

    async def test_append_keeps_a_header_that_is_equal(self, tmp_path):
        path = tmp_path / "out.csv"
        path.write_bytes(b"\xef\xbb\xbfid,text\nx,y\n")
        await session(
            csv(path=path, fields={"id": "key", "text": "text"}, if_exists="append"),
            None,
            part("p", [result("a", "1")]),
        )
        assert path.read_bytes() == b"\xef\xbb\xbfid,text\nx,y\na,1\r\n"

    async def test_append_refuses_another_header(self, tmp_path):
        path = tmp_path / "out.csv"
        path.write_bytes(b"text,id\nx,y\n")
        sink = csv(path=path, fields={"id": "key", "text": "text"}, if_exists="append")
        await refused(sink, None, path, match=r"its header is \['text', 'id'\]")


async def test_a_broken_part_leaves_the_output_untouched(path):
    sink = sink_on(path)
    await sink.open(context(), None)
    with pytest.raises(RuntimeError):
        await sink.write(part_that_breaks("p", results(0, 3), RuntimeError()))
    await sink.close()
    assert path.read_bytes() == b""


async def test_a_row_that_cannot_be_written_is_named(path):
    sink = jsonl(path=path, fields={"k": "key", "x": "carried.x"})
    bad = result("bad one")
    bad.carried = {"x": object()}
    with pytest.raises(SinkError, match="the row of key 'bad one'"):
        await session(sink, None, part("p", [result("fine"), bad]))
    assert path.read_bytes() == b""


STDOUT = """
import asyncio
from batchflow.builtin.sinks.stdout import stdout
from batchflow.model.errors import SinkError
from batchflow.testing.sink import context, part, results

async def main():
    sink = stdout(fields={"k": "key"})
    await sink.open(context(), None)
    try:
        await sink.write(part("p", results(0, 20_000)))
    except SinkError as error:
        raise SystemExit(error.message)

asyncio.run(main())
"""


def test_standard_output_whose_reader_is_gone_is_a_sink_error():
    child = subprocess.Popen([sys.executable, "-c", STDOUT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stderr
    assert child.stdout.readline() == '{"k":"k000000"}\n'
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    assert child.wait() == 1
    assert "whoever read standard output is gone" in said


def test_standard_output_on_a_full_disk_is_a_sink_error():
    with Path("/dev/full").open("wb") as full:
        child = subprocess.run(
            [sys.executable, "-c", STDOUT], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert child.returncode == 1
    assert "No space left on device" in child.stderr
