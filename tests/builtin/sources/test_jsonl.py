"""JSON lines: the contract, and what lines in the wild look like."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.sources.encoding import is_utf8
from batchflow.builtin.sources.jsonl import jsonl
from batchflow.model.errors import SourceError
from batchflow.model.record import Record, Unreadable
from batchflow.testing.source import SourceContract, items_of, pages_of

JUNK = [
    "not json",
    "[1]",
    '"text"',
    "7",
    "{",
    '{"text": "no id"}',
    '{"id": ""}',
    '{"id": null}',
    '{"id": true}',
    '{"id": [1]}',
]


class JsonlFile:
    """A file of JSON lines, with some blank lines among them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, records) -> None:
        self.path.write_text("".join(f"{json.dumps(record)}\n" for record in records))

    def spoil(self, records) -> int:
        lines = [json.dumps(record) for record in records]
        for number, junk in enumerate(JUNK):
            lines.insert(number * 4, junk)
        self.path.write_text("\n\n".join(lines))
        return len(JUNK)

    def remove(self) -> None:
        self.path.unlink()

    def source(self):
        return jsonl(path=self.path, key="id")


class TestJsonl(SourceContract):
    @pytest.fixture
    def place(self, tmp_path):
        return JsonlFile(tmp_path / "in.jsonl")


class TestJsonlInManyFiles(SourceContract):
    @pytest.fixture
    def place(self, tmp_path):
        return ManyFiles(tmp_path)


class ManyFiles:
    """Seven hundred records a file, the last line of each without its end."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, records) -> None:
        for old in self.path.glob("*/*.jsonl"):
            old.unlink()
        (self.path / "empty").mkdir(exist_ok=True)
        (self.path / "empty" / "0.jsonl").touch()
        for start in range(0, len(records), 700):
            folder = self.path / f"{start // 1400:02}"
            folder.mkdir(exist_ok=True)
            lines = (json.dumps(record, ensure_ascii=False) for record in records[start : start + 700])
            (folder / f"{start:05}.jsonl").write_text("\n".join(lines), newline="")

    def source(self):
        return jsonl(path=self.path / "*" / "*.jsonl", key="id")


def reasons(items):
    return [item.reason for item in items if isinstance(item, Unreadable)]


async def read(path: Path, **settings):
    return await items_of(jsonl(path=path, **{"key": "id", **settings}))


async def test_a_line_that_is_nested_too_deep_is_named_as_that(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n")
    assert reasons(await read(path)) == ["not a JSON object: it is nested deeper than can be read"]


async def test_every_kind_of_bad_line_is_named_with_its_line_and_reason(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(JUNK))
    items = await read(path)
    assert [item.origin for item in items] == [f"in.jsonl:{line}" for line in range(1, len(JUNK) + 1)]
    assert "not a JSON object" in items[0].reason
    assert "Expected `object`" in items[1].reason
    assert "no 'id'" in items[5].reason
    assert "'id' is empty" in items[6].reason
    assert "neither text nor a number" in items[8].reason
    assert items[0].excerpt == "not json"


async def test_numbers_become_keys(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": 7}\n{"id": -0.5}\n{"id": 0}\n{"id": 123456789012345678901234567890}\n')
    assert [item.key for item in await read(path)] == ["7", "-0.5", "0", "123456789012345678901234567890"]


async def test_without_a_key_a_record_is_named_by_its_place(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n\n{"x": 2}\n')
    assert [item.key for item in await read(tmp_path / "a.jsonl", key=None)] == ["a.jsonl:1", "a.jsonl:3"]


async def test_a_key_with_dots_is_a_name_and_no_path(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a.b": "x", "a": {"b": "y"}}\n')
    assert [item.key for item in await read(tmp_path / "a.jsonl", key="a.b")] == ["x"]


async def test_blank_lines_and_windows_line_ends_are_passed_over(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\r\n{"id":"1"}\r\n\r\n   \n{"id":"2"}\r\n\n')
    items = await read(tmp_path / "a.jsonl")
    assert [(item.key, item.origin) for item in items] == [("1", "a.jsonl:2"), ("2", "a.jsonl:5")]


async def test_a_file_of_blank_lines_yields_no_page(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n" * 5000)
    assert await pages_of(jsonl(path=tmp_path / "a.jsonl", key="id")) == []


async def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"id":"1"}\n{"id":"2"}')
    assert [item.key for item in await read(tmp_path / "a.jsonl")] == ["1", "2"]


async def test_invalid_utf8_is_named_with_its_line_and_byte(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"id":"1"}\n{"id":"2","t":"gr\xfc\xdfe"}\n{"id":"3"}\n')
    first, bad, last = await read(tmp_path / "a.jsonl")
    assert (first.key, last.key) == ("1", "3")
    assert (bad.origin, bad.reason) == ("a.jsonl:2", "invalid UTF-8 at byte 18")


async def test_another_encoding_can_be_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes('{"id":"1","t":"größe"}\n'.encode("cp1252"))
    (record,) = await read(tmp_path / "a.jsonl", encoding="windows-1252")
    assert record.data["t"] == "größe"


async def test_a_lone_surrogate_and_a_deep_nest_are_unreadable_and_no_crash(tmp_path):
    lines = ['{"id":"1","t":"\\ud800"}', '{"id":"2","t":' + "[" * 100_000, '{"id":"3"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    items = await read(tmp_path / "a.jsonl")
    assert [type(item) for item in items] == [Unreadable, Unreadable, Record]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (r"\ud800", r"\ud800 at byte 10 is half a surrogate pair"),
        (r"\ud83d\ude00\udc00", r"\udc00 at byte 22 is half a surrogate pair"),
        (r"\\u0041\ud800\u0041", r"\ud800 at byte 17 is half a surrogate pair"),
        (r"\ud8", "not a JSON object"),
    ],
)
async def test_half_a_surrogate_pair_is_named_with_its_place(text, said, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text":"' + text + '","id":"a"}\n')
    assert said in (await read(path))[0].reason


async def test_utf16_is_refused_with_the_command_that_converts_it(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id":"1"}\n', encoding="utf-16")
    with pytest.raises(SourceError) as caught:
        await read(tmp_path / "a.jsonl")
    assert "iconv -f utf-16" in caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "cp037", "iso2022_jp", "no-such-thing"])
def test_an_encoding_that_cannot_be_cut_at_line_ends_is_refused_at_once(encoding, tmp_path):
    with pytest.raises(ValueError, match=encoding):
        jsonl(path=tmp_path / "a.jsonl", key="id", encoding=encoding)


@pytest.mark.parametrize("size", [1000, 300_000, 1_500_000])
@pytest.mark.parametrize("end", [b"\n", b""])
async def test_a_line_over_the_limit_is_named_and_the_next_one_is_read(size, end, tmp_path):
    long = b'{"id":"2","t":"%b"}' % (b"x" * size)
    body = b'{"id":"1"}\n' + long + b"\n" + b'{"id":"3"}\n' + long + end
    (tmp_path / "a.jsonl").write_bytes(body)
    source = jsonl(path=tmp_path / "a.jsonl", key="id", max_record=999)
    pages = await pages_of(source)
    items = [item for page in pages for item in page.items]
    assert [item.origin for item in items] == [f"a.jsonl:{line}" for line in (1, 2, 3, 4)]
    assert [type(item) for item in items] == [Record, Unreadable, Record, Unreadable]
    assert "max_record (999 bytes)" in items[1].reason
    assert items[1].excerpt.startswith('{"id":"2","t":"xxx')
    assert pages[-1].cursor["offset"] == len(body)
    for page in pages:
        items = items[len(page.items) :]
        assert await items_of(source, page.cursor) == items


async def test_a_line_of_exactly_the_limit_is_read(tmp_path):
    line = b'{"id":"1"}'
    (tmp_path / "a.jsonl").write_bytes(line + b"\n " + line)
    kept, over = await read(tmp_path / "a.jsonl", max_record=len(line))
    assert isinstance(kept, Record)
    assert isinstance(over, Unreadable)


HUGE = """
import resource, sys, anyio
from pathlib import Path
from batchflow.builtin.sources.jsonl import jsonl
async def main():
    source = jsonl(path=Path(sys.argv[1]), key="id", max_record=1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    items = [item async for page in source.read(None) for item in page.items]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(len(items), items[0].reason.split(",")[0], items[1].key, grown < 40_000)
anyio.run(main)
"""


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_line_of_300_mb_is_never_held(suffix, tmp_path):
    path = tmp_path / f"a.jsonl{suffix}"
    writer = {"": "cat", ".gz": "gzip -1", ".zst": ""}[suffix]
    if writer:
        subprocess.run(
            f'(head -c 300000000 /dev/zero; printf \'\\n{{"id":"2"}}\') | {writer} > {path}', shell=True, check=True
        )
    else:
        import zstandard

        with path.open("wb") as raw, zstandard.ZstdCompressor(level=1).stream_writer(raw) as out:
            for _ in range(300):
                out.write(bytes(1_000_000))
            out.write(b'\n{"id":"2"}')
    done = subprocess.run(
        [sys.executable, "-c", HUGE, path], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.stdout.split("\n")[0] == "2 the line has 300.0 MB 2 True", done.stderr


async def test_a_new_file_changes_the_fingerprint(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id":"1"}\n')
    before = await jsonl(path=tmp_path / "*.jsonl").fingerprint()
    (tmp_path / "b.jsonl").touch()
    assert await jsonl(path=tmp_path / "*.jsonl").fingerprint() != before


@pytest.mark.parametrize("cursor", [{}, {"file": 1}, {"key": "r1"}, {"file": "a.jsonl", "offset": "x"}])
async def test_a_foreign_cursor_is_a_source_error(cursor, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id":"1"}\n')
    with pytest.raises(SourceError, match="cursor"):
        await items_of(jsonl(path=tmp_path / "a.jsonl", key="id"), cursor)


async def test_a_file_that_went_or_shrank_behind_the_cursor_is_a_source_error(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id":"1"}\n{"id":"2"}\n')
    (page,) = await pages_of(jsonl(path=path, key="id"))
    path.write_text("")
    with pytest.raises(SourceError, match="shorter"):
        await items_of(jsonl(path=path, key="id"), page.cursor)
    with pytest.raises(SourceError, match="is gone"):
        await items_of(jsonl(path=path, key="id"), {**page.cursor, "file": "b.jsonl"})


STRANGE = st.sampled_from(
    [
        *(rf"\u{code}".encode() for code in ("0000", "0041", "d800", "dc00", "d83d", "de00", "ffff", "12")),
        *(rb"\n", rb"\"", rb"\\", rb"\/", rb"\x", b"a", b" ", b'"', b"\x7f", b"\x1f", b"\t"),
        *("é日😀\u2028".encode(), b"\xed\xa0\x80", b"\xc0\x80", b"\xff", b"\xf4\x90\x80\x80", b"\xe6\x97"),
    ]
)
strings = st.lists(STRANGE, max_size=4).map(lambda pieces: b'"' + b"".join(pieces) + b'"')
numbers = st.sampled_from(
    [b"0", b"-0", b"01", b"1.", b"1.50", b"1e5", b"1e", b"-", b"NaN", b".5", b"+1", b"0x1", b"tru"]
)
values = st.one_of(strings, strings, numbers, st.sampled_from([b"null", b"true", b'{"a":1}', b"[1,]", b"[]", b"{"]))
lines = st.builds(
    b'{"id":%b,"text":%b}%b'.__mod__, st.tuples(strings, values, st.sampled_from([b"", b"", b"\r", b"}"]))
)


@settings(max_examples=300, deadline=None)
@given(lines=st.lists(lines, min_size=1, max_size=4))
async def test_a_line_is_a_record_exactly_where_a_full_decode_takes_it(lines: list[bytes]) -> None:
    """Values are decoded late, so that whatever is wrong with one must be found early."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "in.jsonl"
        path.write_bytes(b"\n".join(lines))
        items = await items_of(jsonl(path=path, key="id"))
    for line, item in zip(lines, items, strict=True):
        try:
            data = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            assert isinstance(item, Unreadable)
        else:
            assert isinstance(item, Record) == bool(data["id"])
            assert not isinstance(item, Record) or item.data == data


async def test_one_line_that_is_not_utf8_spoils_no_other(tmp_path):
    path = tmp_path / "in.jsonl"
    good = '{"id": "é%d"}'
    path.write_bytes(b"\n".join([*((good % n).encode() for n in range(9)), b'{"id": "\xff"}', (good % 10).encode()]))
    items = await items_of(jsonl(path=path, key="id"))
    assert [item.key for item in items if isinstance(item, Record)] == [f"é{n}" for n in (*range(9), 10)]
    (bad,) = [item for item in items if isinstance(item, Unreadable)]
    assert bad.reason == "invalid UTF-8 at byte 9"


async def test_a_number_too_large_for_python_does_not_cost_the_record(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": "a", "n": 1e400, "m": [1e400]}')
    (record,) = await items_of(jsonl(path=path, key="id"))
    assert record.data == {"id": "a", "n": "1e400", "m": "[1e400]"}


@given(
    st.lists(st.sampled_from([b"a" * 16_380, b"\xc3\xa9", "日".encode(), "😀".encode(), b"\xff", b"\xe6\x97", b"x"]))
)
def test_utf8_is_told_whatever_is_cut(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    try:
        data.decode()
    except UnicodeDecodeError:
        assert not is_utf8(data)
    else:
        assert is_utf8(data)
