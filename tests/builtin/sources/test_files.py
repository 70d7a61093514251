"""Whole files: the contract, and what each kind of file becomes."""

import base64
from pathlib import Path

import pytest

from batchflow.builtin.builders.template import template
from batchflow.builtin.sources.files import COLUMNS, files
from batchflow.model.errors import SourceError
from batchflow.model.record import Record, Unreadable
from batchflow.ports.builder import BuildError
from batchflow.testing.source import SourceContract, items_of, pages_of


class Folder:
    """A folder of text files; its sub-folder is not part of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, records) -> None:
        self.path.mkdir(exist_ok=True)
        for old in self.path.iterdir():
            old.unlink()
        (self.path / ".keep").touch()
        for record in records:
            (self.path / record["id"]).write_bytes(record["text"].encode())

    def spoil(self, records) -> int:
        self.fill(records)
        for number in range(5):
            (self.path / f"r00000{number}.bad").write_bytes(b"gr\xfc\xdfe")
        return 5

    def source(self):
        return files(path=self.path / "*")


class TestFiles(SourceContract):
    @pytest.fixture
    def place(self, tmp_path):
        return Folder(tmp_path / "in")

    async def test_an_empty_place_yields_nothing(self, place):
        place.fill([])
        with pytest.raises(SourceError, match="no file matches"):
            await items_of(place.source())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    return tmp_path / "a"


@pytest.mark.parametrize(
    ("name", "kind", "media_type"),
    [
        ("x.txt", "text", "text/plain"),
        ("x.MD", "text", "text/markdown"),
        ("x", "text", "text/plain"),
        ("x.pdf", "document", "application/pdf"),
        ("x.JPG", "image", "image/jpeg"),
        ("x.jpeg", "image", "image/jpeg"),
        ("x.png", "image", "image/png"),
        ("x.gif", "image", "image/gif"),
        ("x.webp", "image", "image/webp"),
    ],
)
async def test_the_name_tells_what_a_file_is(folder, name, kind, media_type):
    content = b"Gr\xc3\xbc\xc3\x9fe" if kind == "text" else b"%PDF\xff\x00"
    (folder / "b" / name).write_bytes(content)
    (record,) = await items_of(files(path=folder / "**" / "*"))
    assert record.key == record.origin == f"b/{name}"
    assert record.data == {
        "path": f"b/{name}",
        "name": name,
        "stem": "x",
        "suffix": name[1:],
        "kind": kind,
        "media_type": media_type,
        "text": "Grüße" if kind == "text" else "",
        "base64": "" if kind == "text" else base64.b64encode(content).decode(),
    }
    assert record.data.keys() == COLUMNS


async def test_text_that_is_no_utf8_and_files_over_the_limit_are_named(folder):
    (folder / "big.png").write_bytes(bytes(101))
    (folder / "fits.png").write_bytes(bytes(100))
    (folder / "odd.txt").write_bytes(b"abc\xff")
    big, fits, odd = await items_of(files(path=folder / "*", max_record=100))
    assert (big.key, big.origin) == ("big.png", "big.png")
    assert "max_record (100 bytes)" in big.reason
    assert isinstance(fits, Record)
    assert (odd.key, odd.reason) == ("odd.txt", "invalid UTF-8 at byte 4, and by its name it is no PDF or image")


async def test_a_file_that_goes_while_the_others_are_read_is_a_dead_letter_and_no_crash(folder):
    for name in ("a.png", "b.png", "c.png", "d.png"):
        (folder / name).write_bytes(bytes(200_000))
    pages = files(path=folder / "*").read(None)
    items = (await anext(pages)).items
    (folder / "c.png").unlink()
    items += [item for page in [page async for page in pages] for item in page.items]
    assert [type(item) for item in items] == [Record, Record, Unreadable, Record]
    assert (items[2].key, items[2].reason) == ("c.png", "cannot read it: No such file or directory")


async def test_a_byte_order_mark_is_passed_over(folder):
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfabc")
    (record,) = await items_of(files(path=folder / "*.txt"))
    assert record.data["text"] == "abc"


async def test_large_files_make_small_pages_and_small_files_large_ones(folder):
    for number in range(4):
        (folder / f"{number}.png").write_bytes(bytes(200_000))
    for number in range(600):
        (folder / f"x{number:03}.txt").touch()
    pages = await pages_of(files(path=folder / "*"))
    assert [len(page.items) for page in pages][:3] == [1, 1, 1]
    assert max(len(page.items) for page in pages) <= 501
    assert sum(len(page.items) for page in pages) == 604


async def test_a_name_that_is_no_text_still_makes_a_key(folder):
    import os

    (folder / os.fsdecode(b"\xff.txt")).write_text("x")
    (record,) = await items_of(files(path=folder / "*.txt"))
    assert record.key == "\\udcff.txt"


async def test_an_attached_pdf_of_zero_bytes_is_refused_and_not_sent_as_text_alone(tmp_path):
    (tmp_path / "empty.pdf").touch()
    (tmp_path / "note.txt").write_text("hello")
    empty, note = await items_of(files(path=tmp_path / "*"))
    builder = template(model="m", max_tokens=9, attach="base64", prompt="Read {{ name }}.")
    assert builder.build(note)
    with pytest.raises(BuildError, match="is empty"):
        builder.build(empty)
    assert empty.key == "empty.pdf"
