"""The source against every promise of a source; and what only Parquet has: types, row groups, partitions in paths."""

import datetime as dt
import json
import uuid
from decimal import Decimal
from math import inf, nan

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batchflow_parquet.sink import parquet as into_parquet
from batchflow_parquet.source import parquet
from batchflow_parquet.values import Formless, reading
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from lakes import answered, named, session

from batchflow.plugin import SourceError, Unreadable
from batchflow.testing import SourceContract
from batchflow.testing.source import given, items_of, pages_of, told

TEXTS = pa.schema([("id", pa.string()), ("text", pa.string())])


class InFile:
    def __init__(self, path):
        self.path = path

    def fill(self, records):
        pq.write_table(pa.Table.from_pylist(list(records), TEXTS), self.path, row_group_size=700)

    def spoil(self, records):
        spoilt = []
        for number, record in enumerate(records):
            spoilt += [record, {"id": None, "text": "nobody"}] if number % 7 == 0 else [record]
        self.fill(spoilt)
        return len(spoilt) - len(records)

    def source(self):
        return parquet(path=self.path, key="id")

    def remove(self):
        self.path.unlink()


class TestContract(SourceContract):
    @pytest.fixture
    def place(self, tmp_path):
        return InFile(tmp_path / "in.parquet")


def put(path, table, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)


async def data_of(source):
    return [item.data for item in await items_of(source)]


DAY, TIME = dt.date(2026, 1, 31), dt.time(10, 0, 0, 250_000)
MOMENT = dt.datetime(2026, 1, 31, 10, 0, 0, 250_000)  # noqa: DTZ001 -- Parquet has such, too
MEMBERS = pa.struct([("t", pa.timestamp("ns")), ("d", pa.decimal128(5, 2)), ("b", pa.binary()), ("f", pa.float64())])


@pytest.mark.parametrize(
    ("type", "values", "told"),
    [
        (pa.int64(), [2**62, None], [2**62, None]),
        (pa.uint64(), [2**64 - 1], [2**64 - 1]),
        (pa.bool_(), [True, None], [True, None]),
        (pa.float64(), [0.1, nan, inf, -inf], [0.1, None, None, None]),
        (pa.float16(), [0.5], [0.5]),
        (pa.decimal128(20, 2), [Decimal("12.50"), None], ["12.50", None]),
        (pa.decimal256(40, 0), [Decimal(10**39)], [str(10**39)]),
        (pa.date32(), [DAY, None], ["2026-01-31", None]),
        (pa.date64(), [DAY], ["2026-01-31"]),
        (pa.time64("us"), [TIME], ["10:00:00.25"]),
        (pa.time32("s"), [dt.time(10)], ["10:00:00"]),
        (pa.timestamp("us"), [MOMENT], ["2026-01-31T10:00:00.25"]),
        (pa.timestamp("ms", tz="Europe/Berlin"), [MOMENT.replace(tzinfo=dt.UTC)], ["2026-01-31T10:00:00.25Z"]),
        (pa.timestamp("ns"), [1_700_000_000_123_456_789], ["2023-11-14T22:13:20.123456789"]),
        (pa.timestamp("s"), [253402300800], ["10000-01-01T00:00:00"]),
        (pa.duration("ms"), [1500], [1.5]),
        (pa.binary(), [b"\xff\x00", None], ["/wA=", None]),
        (pa.binary(2), [b"ab"], ["YWI="]),
        (pa.large_string(), ["x"], ["x"]),
        (pa.string_view(), ["x"], ["x"]),
        (pa.null(), [None], [None]),
        (pa.dictionary(pa.int32(), pa.string()), ["a", None, "a"], ["a", None, "a"]),
        (pa.list_(pa.date32()), [[DAY, None], None, []], [["2026-01-31", None], None, []]),
        (pa.list_(pa.binary(), 1), [[b"x"]], [["eA=="]]),
        (pa.large_list(pa.int8()), [[1]], [[1]]),
        (
            pa.list_(MEMBERS),
            [[{"t": MOMENT, "d": Decimal("1.50"), "b": b"x", "f": nan}, None], [{"t": None}]],
            [
                [{"t": "2026-01-31T10:00:00.25", "d": "1.50", "b": "eA==", "f": None}, None],
                [{"t": None, "d": None, "b": None, "f": None}],
            ],
        ),
        (pa.map_(pa.int32(), pa.date32()), [[(1, DAY), (2, None)], None], [{"1": "2026-01-31", "2": None}, None]),
        (pa.map_(pa.string(), pa.list_(pa.int8())), [[("a", [1])]], [{"a": [1]}]),
        (pa.json_(), ['{"a":[1]}', "no json", None], [{"a": [1]}, "no json", None]),
        (pa.uuid(), [uuid.UUID(int=7).bytes], ["00000000-0000-0000-0000-000000000007"]),
    ],
    ids=str,
)
async def test_every_type_becomes_something_that_json_holds(tmp_path, type, values, told):
    put(tmp_path / "in.parquet", pa.table({"v": pa.array(values, type)}))
    read = [one["v"] for one in await data_of(parquet(path=tmp_path / "in.parquet"))]
    assert read == told
    assert json.loads(json.dumps(read)) == told


VALUES = st.fixed_dictionaries(
    {
        "id": st.text(min_size=1, max_size=5),
        "at": st.none() | st.datetimes(),
        "amount": st.none() | st.decimals(-999, 999, places=3),
        "tags": st.none() | st.lists(st.none() | st.fixed_dictionaries({"day": st.dates(), "raw": st.binary(max_size=3)}), max_size=3),
    }
)  # fmt: skip
SCHEMA = pa.schema([
    ("id", pa.string()), ("at", pa.timestamp("us")), ("amount", pa.decimal128(9, 3)),
    ("tags", pa.list_(pa.struct([("day", pa.date32()), ("raw", pa.binary())]))),
])  # fmt: skip


@drawn(st.lists(VALUES, max_size=20), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
async def test_rows_are_read_as_they_were_written_from_every_cursor(tmp_path_factory, rows, group):
    path = tmp_path_factory.mktemp("in") / "in.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path, row_group_size=group)
    source = parquet(path=path, key="id")
    pages = await pages_of(source)
    items = [item for page in pages for item in page.items]
    assert [item.key for item in items] == [row["id"] for row in rows]
    for item, row in zip(items, rows, strict=True):
        assert item.data["at"] is row["at"] is None or dt.datetime.fromisoformat(item.data["at"]) == row["at"]
        assert item.data["amount"] is row["amount"] is None or Decimal(item.data["amount"]) == row["amount"]
        days = [tag and tag["day"] for tag in item.data["tags"] or ()]
        assert days == [tag and tag["day"].isoformat() for tag in row["tags"] or ()]
    for page in pages:
        items = items[len(page.items) :]
        assert await items_of(source, page.cursor) == items


async def test_a_folder_and_a_pattern_are_read_in_order_with_their_partitions_as_columns(tmp_path):
    lake = tmp_path / "lake"
    put(lake / "tenant=a%2Fb" / "year=2025" / "x.parquet", {"id": ["1"]})
    put(lake / "tenant=acme" / "year=2026" / "x.parquet", {"id": ["2", "3"], "year": [7, 8]})
    put(lake / "tenant=__HIVE_DEFAULT_PARTITION__" / "y.parquet", {"id": ["0"]})
    put(lake / ".hidden" / "z.parquet", {"id": ["9"]})
    put(lake / "_delta_log" / "z.checkpoint.parquet", {"id": ["9"]})
    (lake / "_SUCCESS").touch()
    expected = [
        {"id": "0", "tenant": None}, {"id": "1", "tenant": "a/b", "year": "2025"},
        {"id": "2", "tenant": "acme", "year": 7}, {"id": "3", "tenant": "acme", "year": 8},
    ]  # fmt: skip
    for path in (lake, lake / "**" / "*.parquet"):
        assert await data_of(parquet(path=path)) == expected
        assert await parquet(path=path).columns() == {"id", "tenant"}
    origins = [item.origin for item in await items_of(parquet(path=lake))]
    assert origins[-1] == "tenant=acme/year=2026/x.parquet:2"
    assert await data_of(parquet(path=lake / "tenant=acme" / "*" / "*.parquet", columns=["id", "tenant"])) == [
        {"id": "2", "tenant": "acme"}, {"id": "3", "tenant": "acme"}
    ]  # fmt: skip


async def test_what_the_sink_wrote_the_source_reads(tmp_path):
    schema = {"type": "object", "additionalProperties": False, "properties": {"n": {"type": "integer"}}}
    sink = into_parquet(path=tmp_path, output=schema, partition_by=["tenant"], carry=["tenant"])
    rows = [answered(f"k{n}", {"n": n}, tenant=("acme", None)[n % 2]) for n in range(6)]
    await session(sink, named(rows), whole=True)
    read = sorted(
        (one["key"], one["output"]["n"], one["tenant"]) for one in await data_of(parquet(path=tmp_path, key="key"))
    )
    assert read == [(f"k{n}", n, ("acme", None)[n % 2]) for n in range(6)]


async def test_several_columns_may_be_the_key_and_no_two_rows_share_one_by_chance(tmp_path):
    put(tmp_path / "in.parquet", {"a": ["x/y", "x", "x%", None], "b": [1, 2, 3, 4], "c": ["z", "y/1", "", "q"]})
    keys = [item.key for item in await items_of(parquet(path=tmp_path / "in.parquet", key=["a", "b"]))]
    assert keys == ["x%2Fy/1", "x/2", "x%25/3", ""]
    [*_, bad] = await items_of(parquet(path=tmp_path / "in.parquet", key=["a", "b"]))
    assert isinstance(bad, Unreadable)
    assert (bad.origin, bad.reason) == ("in.parquet:4", "there is no 'a', which is the key; there is a, b, c")


async def test_columns_that_are_not_named_are_not_read(tmp_path):
    put(tmp_path / "in.parquet", {"id": ["1"], "x": [1], "y": [2]})
    assert await data_of(parquet(path=tmp_path / "in.parquet", key="id", columns=["y", "id"])) == [{"id": "1", "y": 2}]
    with pytest.raises(SourceError, match="has no column 'z'") as caught:
        await items_of(parquet(path=tmp_path / "in.parquet", columns=["z"]))
    assert caught.value.hint == "it has id, x, y"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key": []}, "key names no column"),
        ({"columns": []}, "columns names no column"),
        ({"key": "id", "columns": ["x"]}, "columns lacks 'id', which is part of the key"),
    ],
)
def test_what_cannot_be_is_refused_where_the_job_is_read(tmp_path, options, said):
    with pytest.raises(ValueError, match=said):
        parquet(path=tmp_path, **options)


def spoilt_text(rows):
    """Makes texts of which one is no UTF-8."""
    data = b"".join(rows)
    offsets = [sum(map(len, rows[:n])) for n in range(len(rows) + 1)]
    return pa.Array.from_buffers(
        pa.string(), len(rows), [None, pa.array(offsets, pa.int32()).buffers()[1], pa.py_buffer(data)]
    )


async def test_a_value_that_cannot_be_read_is_told_by_file_row_and_column_and_costs_no_other(tmp_path):
    at = pa.array([0, 1, 2, 2**62], pa.timestamp("us"))
    table = pa.table({"id": ["a", "b", "c", "d"], "text": spoilt_text([b"x", b"\xff\xfe", b"y", b"z"]), "at": at})
    put(tmp_path / "in.parquet", table)
    good, bad, fine, late = await items_of(parquet(path=tmp_path / "in.parquet", key="id"))
    assert (good.key, fine.key) == ("a", "c")
    assert (bad.origin, bad.reason[:47]) == ("in.parquet:2", "column 'text' cannot be read: 'utf-8' codec can")
    assert (late.origin, late.reason[:43]) == ("in.parquet:4", "column 'at' cannot be read: it is no date: ")


async def test_a_file_that_was_edited_or_taken_away_in_the_middle_is_refused(tmp_path):
    place = InFile(tmp_path / "a.parquet")
    place.fill(given(1500))
    put(tmp_path / "b.parquet", {"id": ["last"], "text": [""]})
    source = parquet(path=tmp_path, key="id")
    first, *_ = await pages_of(source)
    place.fill(given(1500)[::-1])
    with pytest.raises(SourceError, match=r"a\.parquet was edited: the run stood in it at row 501 of row group 1"):
        await pages_of(source, first.cursor)
    place.fill(given(1500))
    assert len(told(await items_of(source, first.cursor))) == 1001
    place.remove()
    with pytest.raises(SourceError, match=r"a\.parquet is gone from"):
        await pages_of(source, first.cursor)
    with pytest.raises(SourceError, match="not made by this kind of source"):
        await pages_of(source, {"offset": 3})


async def test_a_file_that_is_no_parquet_or_is_broken_is_told_with_its_place(tmp_path):
    (tmp_path / "bad.parquet").write_text("id\n1\n")
    with pytest.raises(SourceError, match=r"bad\.parquet cannot be opened: ") as caught:
        await items_of(parquet(path=tmp_path / "bad.parquet"))
    assert "duckdb -c" in caught.value.hint
    place = InFile(tmp_path / "torn.parquet")
    place.fill(given(1400))
    whole = bytearray(place.path.read_bytes())
    middle = pq.ParquetFile(place.path).metadata.row_group(1).column(0).data_page_offset
    whole[middle : middle + 60] = b"\xff" * 60
    place.path.write_bytes(whole)
    with pytest.raises(SourceError, match=r"torn\.parquet cannot be read from row 701 on \(row group 2\): "):
        await items_of(place.source())


async def test_columns_of_one_name_are_told(tmp_path):
    put(tmp_path / "in.parquet", pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]))
    with pytest.raises(SourceError, match="has several columns called 'x'"):
        await items_of(parquet(path=tmp_path / "in.parquet"))


@pytest.mark.parametrize("type", [pa.month_day_nano_interval(), pa.list_(pa.month_day_nano_interval())], ids=str)
def test_a_type_without_a_form_in_json_is_known_as_such(type):
    with pytest.raises(Formless):
        reading(type)


def test_it_knows_which_sinks_would_write_what_it_reads(tmp_path):
    lake = tmp_path / "lake"
    put(lake / "tenant=a" / "one.parquet", {"id": ["a"]})
    flat, parted = (
        into_parquet(path=lake),
        into_parquet(path=lake, fields={"k": "key", "w": "word"}, partition_by=["w"]),
    )
    for place, sink, reads in (
        (lake, flat, True), (lake, parted, True), (lake / "tenant=*" / "*.parquet", parted, True), (lake / "*.parquet", flat, True),
        (lake / "*.csv", flat, False), (lake, into_parquet(path=tmp_path / "other"), False),
        (lake / "tenant=a" / "one.parquet", flat, False),
    ):  # fmt: skip
        assert any(map(parquet(path=place).covers, sink.targets())) is reads, place
