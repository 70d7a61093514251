"""CSV: the contract, and what rows in the wild look like."""

import csv as library
import io
from pathlib import Path

import pytest
from hypothesis import given as example_of
from hypothesis import settings
from hypothesis import strategies as st

from batchflow.builtin.sources.csv import csv
from batchflow.model.errors import SourceError
from batchflow.model.record import Record, Unreadable
from batchflow.testing.source import SourceContract, items_of, pages_of

BAD = ['"x"y,z', "one", "a,b,c", ",no key", '"a ""quoted"" key"x,y']


class CsvFile:
    """One file, with every cell quoted where it must be."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, records) -> list[str]:
        return [_row([record["id"], record["text"]]) for record in records]

    def fill(self, records) -> None:
        self.path.write_text("id,text\r\n" + "".join(self.rows(records)), newline="")

    def spoil(self, records) -> int:
        rows = self.rows(records)
        for number, bad in enumerate(BAD):
            rows.insert(number * 3, f"{bad}\r\n\r\n")
        self.path.write_text("id,text\r\n" + "".join(rows), newline="")
        return len(BAD)

    def remove(self) -> None:
        self.path.unlink()

    def source(self):
        return csv(path=self.path, key="id")


class TestCsv(SourceContract):
    @pytest.fixture
    def place(self, tmp_path):
        return CsvFile(tmp_path / "in.csv")


def _row(cells) -> str:
    out = io.StringIO(newline="")
    library.writer(out).writerow(cells)
    return out.getvalue()


async def read(path: Path, **settings_):
    return await items_of(csv(path=path, **{"key": "id", **settings_}))


def outline(items):
    return [(item.origin, item.key if isinstance(item, Record) else item.reason) for item in items]


async def test_cells_are_named_by_the_header(tmp_path):
    (tmp_path / "a.csv").write_text("id,name\n1,x\n2,\n")
    assert [item.data for item in await read(tmp_path / "a.csv")] == [{"id": "1", "name": "x"}, {"id": "2", "name": ""}]


async def test_a_row_with_too_few_or_too_many_cells_is_named_with_its_line(tmp_path):
    (tmp_path / "a.csv").write_text('id,b\n1,"x\ny"\n2\n3,x,y\n4,z\n')
    assert outline(await read(tmp_path / "a.csv")) == [
        ("a.csv:2", "1"),
        ("a.csv:4", "the row has 1 cells, the header has 2"),
        ("a.csv:5", "the row has 3 cells, the header has 2"),
        ("a.csv:6", "4"),
    ]


async def test_a_bad_row_is_named_by_its_key_where_it_has_one(tmp_path):
    (tmp_path / "a.csv").write_text("id,b\n7,x,y\n")
    (bad,) = await read(tmp_path / "a.csv")
    assert (bad.key, bad.excerpt) == ("7", "7,x,y")


async def test_cells_over_several_lines_keep_their_line_ends(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'id,b\r\n1,"x\r\ny\nz"\r\n2,"\n"\r\n')
    assert [item.data["b"] for item in await read(tmp_path / "a.csv")] == ["x\r\ny\nz", "\n"]


async def test_nul_bytes_are_letters(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,b\n1,x\x00y\n")
    assert [item.data["b"] for item in await read(tmp_path / "a.csv")] == ["x\x00y"]


async def test_a_cell_over_the_librarys_own_limit_is_read(tmp_path):
    (tmp_path / "a.csv").write_text(f"id,b\n1,{'x' * 500_000}\n")
    assert [len(item.data["b"]) for item in await read(tmp_path / "a.csv")] == [500_000]


@pytest.mark.parametrize("size", [2_000, 700_000])
async def test_a_row_over_the_limit_is_passed_over_with_all_its_lines(size, tmp_path):
    inside = "\n".join(["9,not a row", '9,"" nor this', "x" * size, "9,nor that"])
    (tmp_path / "a.csv").write_text(f'id,b\n1,x\n2,"{inside}"\n3,y\n4,{"y" * size}\n5,z\n6,"{inside}"')
    source = csv(path=tmp_path / "a.csv", key="id", max_record=1_000)
    pages = await pages_of(source)
    items = [item for page in pages for item in page.items]
    assert [item.origin for item in items] == [f"a.csv:{line}" for line in (2, 3, 7, 8, 9, 10)]
    assert [type(item) for item in items] == [Record, Unreadable, Record, Unreadable, Record, Unreadable]
    assert "max_record (1,000 bytes)" in items[1].reason
    assert "it reaches to line 6" in items[1].reason
    for page in pages:
        items = items[len(page.items) :]
        assert await items_of(source, page.cursor) == items


async def test_a_quote_that_is_never_closed_takes_no_other_row_for_a_record(tmp_path):
    (tmp_path / "a.csv").write_text('id,b\n1,x\n2,"y\n3,z\n4,z\n')
    first, bad = await read(tmp_path / "a.csv")
    assert first.key == "1"
    assert bad.origin == "a.csv:3"
    assert "it reaches to line 5" in bad.reason


async def test_a_malformed_row_ends_where_its_quotes_end(tmp_path):
    (tmp_path / "a.csv").write_text('id,b\n1,"x" y,"open\n9,inside\n9,still" \n2,z\n')
    bad, good = await read(tmp_path / "a.csv")
    assert isinstance(bad, Unreadable)
    assert (good.key, good.origin) == ("2", "a.csv:5")


async def test_invalid_utf8_is_named_with_its_line_and_the_next_row_is_read(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'id,b\n1,"x\ngr\xfc\xdfe"\n2,y\n')
    assert outline(await read(tmp_path / "a.csv")) == [("a.csv:2", "invalid UTF-8 at byte 3"), ("a.csv:4", "2")]


async def test_byte_order_marks_delimiters_and_encodings(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfid;b\n1;x\n")
    (tmp_path / "b.csv").write_bytes("id\tb\n1\tgröße\n".encode("cp1252"))
    (one,) = await read(tmp_path / "a.csv", delimiter=";")
    (two,) = await read(tmp_path / "b.csv", delimiter=r"\t", encoding="cp1252")
    assert (one.data, two.data) == ({"id": "1", "b": "x"}, {"id": "1", "b": "größe"})


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "¦"])
def test_a_delimiter_that_cannot_be_one_is_refused_at_once(delimiter, tmp_path):
    with pytest.raises(ValueError, match="delimiter"):
        csv(path=tmp_path / "a.csv", key="id", delimiter=delimiter)


async def test_a_missing_key_column_is_refused_with_a_guess(tmp_path):
    (tmp_path / "a.csv").write_text("claim_id,name\n1,x\n")
    with pytest.raises(SourceError, match="no column 'claimid'") as caught:
        await read(tmp_path / "a.csv", key="claimid")
    assert "did you mean 'claim_id'?" in caught.value.hint
    assert "'name'" in caught.value.hint


async def test_a_missing_key_column_does_not_hide_the_others_from_validate(tmp_path):
    (tmp_path / "a.csv").write_text("claim_id,name\n1,x\n")
    assert await csv(path=tmp_path / "a.csv", key="claimid").columns() == {"claim_id", "name"}


async def test_a_column_that_comes_twice_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("id,x,x\n1,2,3\n")
    with pytest.raises(SourceError, match="more than one column 'x'"):
        await read(tmp_path / "a.csv")


async def test_files_with_other_columns_are_refused_before_the_first_record(tmp_path):
    (tmp_path / "a.csv").write_text("id,tenant\n1,x\n")
    (tmp_path / "b.csv").write_text("id,tenent,y\n2,x,y\n")
    reason = r"b\.csv has other columns than .*a\.csv: it lacks 'tenant' and it adds 'tenent', 'y'"
    with pytest.raises(SourceError, match=reason):
        await anext(aiter(csv(path=tmp_path / "*.csv", key="id").read(None)))


async def test_files_may_have_their_columns_in_another_order_and_may_be_empty(tmp_path):
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "b.csv").write_text("id,x\n1,2\n")
    (tmp_path / "c.csv").write_text("x,id\n4,3\n")
    source = csv(path=tmp_path / "*.csv", key="id")
    assert [item.data for item in await items_of(source)] == [{"id": "1", "x": "2"}, {"id": "3", "x": "4"}]
    assert await source.columns() == {"id", "x"}


async def test_a_file_without_even_a_header_yields_nothing_and_knows_no_columns(tmp_path):
    (tmp_path / "a.csv").touch()
    source = csv(path=tmp_path / "a.csv", key="id")
    assert await items_of(source) == []
    assert await source.columns() is None


async def test_old_mac_line_ends_are_refused_with_the_reason(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,x\r1,2\r")
    with pytest.raises(SourceError, match="new-line character"):
        await read(tmp_path / "a.csv")


async def test_a_compressed_file_is_resumed_in_its_middle(tmp_path):
    import gzip

    with gzip.open(tmp_path / "a.csv.gz", "wt", newline="") as out:
        out.write("id,b\n" + "".join(f'{number},"line\n{"x" * 900}"\n' for number in range(2000)))
    source = csv(path=tmp_path / "a.csv.gz", key="id")
    pages = await pages_of(source)
    left = [item for page in pages for item in page.items]
    assert len(pages) > 3
    assert len(left) == 2000
    for page in pages:
        left = left[len(page.items) :]
        assert await items_of(source, page.cursor) == left


cells = st.text(alphabet='ab,"\n\r', max_size=6)


@settings(max_examples=150, deadline=None)
@example_of(table=st.lists(st.tuples(cells, cells), max_size=8), end=st.booleans(), limit=st.sampled_from([20, 10_000]))
async def test_any_table_that_csv_writes_is_read_as_it_was(table, end, limit, tmp_path_factory):
    rows = [_row(["k", *row]) for row in table]
    if rows and not end:
        rows[-1] = rows[-1].removesuffix("\r\n")
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text("id,b,c\r\n" + "".join(rows), newline="")
    items = await read(path, max_record=limit)
    assert [isinstance(item, Record) for item in items] == [len(text) <= limit for text in rows]
    good = [(item.data["b"], item.data["c"]) for item in items if isinstance(item, Record)]
    assert good == [row for row, text in zip(table, rows, strict=True) if len(text) <= limit]
