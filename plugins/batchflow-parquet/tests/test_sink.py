"""The sink against every promise of a sink, and what a folder looks like to somebody who reads it with DuckDB."""

import re
from collections import Counter
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from batchflow_parquet.columns import layout
from batchflow_parquet.hive import partitions, path_of
from batchflow_parquet.ledger import Ledger
from batchflow_parquet.sink import ParquetSink, parquet
from batchflow_parquet.staging import Limits, Stage
from hypothesis import given, settings
from hypothesis import strategies as st
from lakes import answered, ask, files, named, numbered, session

from batchflow.plugin import Completing, SinkError, Written
from batchflow.testing import SinkContract
from batchflow.testing.sink import Damage, context, part_that_breaks, receipt_of, results


class TestContract(SinkContract):
    @pytest.fixture
    def make_sink(self, tmp_path):
        return lambda: parquet(path=tmp_path / "lake")

    @pytest.fixture
    def unwanted(self):
        return "half a pair: \ud800"

    @pytest.fixture
    def read_back(self, tmp_path):
        async def read():
            if set(files(tmp_path / "lake")) <= {"_SUCCESS"}:
                return []
            sql = "select key, text from lake order by filename, file_row_number"
            return [tuple(row.values()) for row in ask(tmp_path / "lake", sql, filename="true", file_row_number="true")]

        return read


class TestContractOfManyFolders(TestContract):
    """Every part is many files here, and few of them may be open at a time."""

    @pytest.fixture
    def make_sink(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Stage.__init__, "__defaults__", (Limits(group=4000, held=9000, files=2),))
        columns = layout(
            {"key": "key", "text": "text", "start": "text"}, types={}, partition_by=["start"], carry=None, output=None
        )
        columns._paths[0] = msgspec.structs.replace(
            columns._paths[0], over=lambda rows: [str(len(row.text) % 3) for row in rows]
        )
        return lambda: ParquetSink(tmp_path / "lake", columns, "none", append=False)

    @pytest.fixture
    def read_back(self, tmp_path):
        async def read():
            if set(files(tmp_path / "lake")) <= {"_SUCCESS"}:
                return []
            sql = "select key, text from lake order by key"
            return [tuple(row.values()) for row in ask(tmp_path / "lake", sql)]

        return read


async def test_the_engines_part_gives_a_file_its_name(tmp_path):
    receipt = await session(parquet(path=tmp_path), named(results(0, 3), "0199-b", 2), whole=True)
    assert files(tmp_path) == ["_SUCCESS", "run-1.0199-b.out.2.parquet"]
    size = (tmp_path / "run-1.0199-b.out.2.parquet").stat().st_size
    assert receipt == {"part": "run-1/0199-b/out/2", "rows": 3, "files": 1, "bytes": size, "refused": 0}


async def test_partitions_are_folders_that_duckdb_prunes(tmp_path):
    sink = parquet(path=tmp_path, partition_by=["tenant", "year"], types={"year": "integer"}, carry=["tenant", "year"])
    rows = [answered(f"k{n}", tenant=["acme", "a/b=c", None][n % 3], year=2025 + n % 2) for n in range(60)]
    await session(sink, named(rows), named(rows[:6], "c"))
    assert files(tmp_path)[-2:] == [
        "tenant=acme/year=2026/run-1.b.out.0.parquet", "tenant=acme/year=2026/run-1.c.out.0.parquet"
    ]  # fmt: skip
    counts = ask(
        tmp_path, "select tenant, year, count(*) n from lake group by all order by all", hive_partitioning="true"
    )
    assert [tuple(row.values()) for row in counts] == [
        (tenant, year, 11) for tenant in ("a/b=c", "acme", None) for year in (2025, 2026)
    ]
    plan = ask(
        tmp_path, "explain analyze select key from lake where tenant = 'acme' and year = 2026", hive_partitioning="true"
    )
    assert "Total Files Read: 2" in str(plan).replace("\\n", "\n")
    assert "tenant" not in pq.read_schema(next(tmp_path.glob("tenant=acme/**/*.parquet"))).names


@given(
    st.lists(
        st.text(max_size=20) | st.sampled_from(["a b", "x%2Fy", "..", "__", "007", "null", "\u00fc+\U0001f600"]),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=50, deadline=None)
def test_what_is_put_into_a_path_is_read_from_it(values):
    columns = [f"c{n}={n}" for n in range(len(values))]
    path = path_of(columns, values)
    assert path.count("/") == len(values)
    assert partitions(Path(path).parts) == {
        column: value or None for column, value in zip(columns, values, strict=True)
    }


async def test_hard_names_of_partitions_are_the_same_to_duckdb_and_pyarrow(tmp_path):
    hard = [
        "a b",
        "a+b",
        "x%2Fy",
        "..",
        "007",
        "null",
        "\u00fc\U0001f600",
        "q'\"",
        "a\nb",
        "*?[x]",
        "a\\b",
        "{c}:d",
        "~",
        "-",
        "",
        None,
    ]
    sink = parquet(path=tmp_path, fields={"key": "key", "t": "t"}, partition_by=["t"], carry=["t"])
    await session(sink, named([answered(f"k{n:02}", t=text) for n, text in enumerate(hard)]))
    expected = [text or None for text in hard]
    assert [row["t"] for row in ask(tmp_path, hive_partitioning="true", hive_types_autocast="false")] == expected
    found = ds.dataset(
        tmp_path, partitioning=ds.partitioning(pa.schema([("t", pa.string())]), flavor="hive")
    ).to_table()
    assert [row["t"] for row in sorted(found.to_pylist(), key=lambda row: row["key"])] == expected


async def test_a_value_that_is_too_long_for_a_folder_is_refused(tmp_path):
    sink = parquet(path=tmp_path, partition_by=["t"], carry=["t"])
    written = await session(sink, named(numbered([answered("a", t="x" * 300), answered("b", t="ok")])))
    assert [(one.key, one.why[:70]) for one in written.refused] == [
        ("a", "it does not fit column 't': it is too long to name a folder: xxxxxxxxx")
    ]


def test_many_folders_are_written_with_few_files_open_and_every_row_is_there(tmp_path):
    columns = layout({"key": "key", "t": "t"}, types={}, partition_by=["t"], carry=["t"], output=None)
    stage = Stage(tmp_path / "stage", columns.schema, "none", Limits(group=600, held=2000, files=3))
    most, before = 0, len([*Path("/dev/fd").iterdir()])
    for start in range(0, 1000, 50):
        rows = [answered(f"k{n}", t=n % 17) for n in range(start, start + 50)]
        for folder, batch in columns.sorted(rows).batches.items():
            stage.add(folder, batch)
            most = max(most, len([*Path("/dev/fd").iterdir()]))
    staged = stage.finish()
    assert most == before + 3
    assert sum(one.rows for one in staged) == 1000
    assert len({(one.folder, one.number) for one in staged}) == len(staged) > 17
    keys = Counter(key for one in staged for key in pq.read_table(tmp_path / "stage" / one.name)["key"].to_pylist())
    assert keys == Counter(f"k{n}" for n in range(1000))


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "none"])
async def test_every_compression_is_read_by_duckdb(tmp_path, compression):
    await session(parquet(path=tmp_path, compression=compression), named(results(0, 300)))
    [file] = tmp_path.glob("*.parquet")
    told = pq.ParquetFile(file).metadata.row_group(0).column(0).compression
    assert told == {"none": "UNCOMPRESSED"}.get(compression, compression.upper())
    assert len(ask(tmp_path)) == 300


async def test_a_reader_in_the_middle_of_a_part_sees_whole_parts_only(tmp_path):
    seen = []

    async def rows():
        for n in range(20, 40):
            yield results(n, 1)
            seen.append(len(ask(tmp_path)))

    sink = parquet(path=tmp_path)
    await sink.open(context(sink="out"), None)
    await sink.write(named(results(0, 20)))
    await sink.write(msgspec.structs.replace(named([], "c"), rows=rows()))
    await sink.close()
    assert seen == [20] * 20
    assert len(ask(tmp_path)) == 40


async def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "x=1").mkdir()
    (tmp_path / "x=1" / "old.parquet").write_bytes(b"precious")
    with pytest.raises(SinkError, match=r"holds something already: .*x=1/old\.parquet") as caught:
        await session(parquet(path=tmp_path), named(results(0, 1)))
    assert "if_exists: append" in caught.value.hint
    assert files(tmp_path) == ["x=1/old.parquet"]


async def test_append_puts_runs_side_by_side(tmp_path):
    for run in ("run-1", "run-2"):
        await session(parquet(path=tmp_path, if_exists="append"), named(results(0, 2), run=run), run=run, whole=True)
    assert files(tmp_path) == ["_SUCCESS", "run-1.b.out.0.parquet", "run-2.b.out.0.parquet"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"carry": ["tenant"]}, "in run-1.b.out.0.parquet there is no column 'tenant'"),
        ({"fields": {"key": "key"}}, "in run-1.b.out.0.parquet there is a column 'word', which is not among those here"),
        ({"types": {"cost": "string"}}, "in run-1.b.out.0.parquet column 'cost' is double, and here it is string"),
        ({"partition_by": ["word"]}, "run-1.b.out.0.parquet lies in partitions of no column, and here `partition_by` names 'word'"),
    ],
)  # fmt: skip
async def test_append_asks_for_the_same_columns(tmp_path, options, said):
    await session(parquet(path=tmp_path), named(results(0, 2)))
    with pytest.raises(
        SinkError, match=re.escape(f"cannot append to {tmp_path}: {said}. Nothing was touched.")
    ) as caught:
        await session(parquet(path=tmp_path, if_exists="append", **options), named(results(0, 2)), run="run-2")
    assert "partition_by" in caught.value.hint
    assert files(tmp_path) == ["run-1.b.out.0.parquet"]


async def test_append_goes_beside_what_duckdb_made_of_an_older_run(tmp_path):
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"l": {"type": "array", "items": {"type": "string"}}},
    }

    def made():
        return parquet(path=tmp_path / "new", output=schema, if_exists="append", partition_by=["t"], carry=["t"])

    await session(made(), named([answered("a", {"l": ["x"]}, t="t1")]))
    files_read = f"read_parquet('{tmp_path}/new/**/*.parquet', hive_partitioning = true)"
    duckdb.execute(f"copy (from {files_read}) to '{tmp_path}/copied' (format parquet, partition_by (t))")
    (tmp_path / "new").rename(tmp_path / "old")
    (tmp_path / "copied").rename(tmp_path / "new")
    await session(made(), named([answered("b", {"l": []}, t="t1")], run="run-2"), run="run-2")
    rows = ask(tmp_path / "new", hive_partitioning="true")
    assert [(row["key"], row["output"], row["t"]) for row in rows] == [
        ("a", {"l": ["x"]}, "t1"),
        ("b", {"l": []}, "t1"),
    ]


async def test_hidden_things_are_no_objection_and_success_tells_a_whole_folder(tmp_path):
    (tmp_path / ".gitkeep").touch()
    sink = parquet(path=tmp_path)
    assert isinstance(sink, Completing)
    last = receipt_of(await session(sink, named(results(0, 1)), whole=True))
    assert "_SUCCESS" in files(tmp_path)
    await session(parquet(path=tmp_path), last=last, fresh=False)
    assert "_SUCCESS" in files(tmp_path)
    await session(parquet(path=tmp_path), named(results(1, 1), "c"), last=last, fresh=False)
    assert "_SUCCESS" not in files(tmp_path)
    await session(parquet(path=tmp_path), last=last, fresh=False, whole=True)
    assert "_SUCCESS" in files(tmp_path)


async def test_a_part_that_comes_again_is_not_written_again_unless_a_file_of_it_is_gone(tmp_path):
    def made():
        return parquet(path=tmp_path, partition_by=["t"], carry=["t"])

    rows = numbered(answered(f"k{n}", t=n % 3) for n in range(9))
    first = await session(made(), named(rows))
    kept = {file: file.stat().st_ino for file in tmp_path.rglob("*.parquet")}
    assert await session(made(), named([])) == first
    assert {file: file.stat().st_ino for file in tmp_path.rglob("*.parquet")} == kept
    min(kept).unlink()
    await session(made(), named(rows[:8]))
    assert sorted(row["key"] for row in ask(tmp_path)) == [f"k{n}" for n in range(8)]


async def test_a_part_that_counts_is_moved_by_whoever_opens_the_sink_next(tmp_path):
    ledger = Ledger(tmp_path, "run-1", "out")
    columns = layout({"key": "key"}, types={}, partition_by=[], carry=None, output=None)
    stage = Stage(ledger.begin("run-1/b/out/0"), columns.schema, "none")
    for folder in ("t=1/", "t=2/"):
        stage.add(folder, columns.sorted(results(0, 2)).batches[""])
    record = ledger.record("run-1/b/out/0", stage.folder, stage.finish(), ())
    ledger.keep(record)
    assert files(tmp_path) == []
    await session(parquet(path=tmp_path))
    assert files(tmp_path) == ["t=1/run-1.b.out.0.parquet", "t=2/run-1.b.out.0.parquet"]
    assert not (ledger.folder / record.staging).exists()


async def test_rows_that_moved_to_other_folders_leave_no_copy_behind(tmp_path):
    def made():
        return parquet(path=tmp_path, partition_by=["t"], carry=["t"])

    await session(made(), named([answered("a", t=1), answered("b", t=2)]))
    (tmp_path / "t=2" / "run-1.b.out.0.parquet").unlink()
    await session(made(), named([answered("a", t=3), answered("b", t=2)]))
    assert files(tmp_path) == ["t=2/run-1.b.out.0.parquet", "t=3/run-1.b.out.0.parquet"]


async def test_a_folder_that_was_taken_away_is_told_with_what_to_type(tmp_path):
    last = receipt_of(await session(parquet(path=tmp_path / "lake"), named(results(0, 1))))
    (tmp_path / "lake").rename(tmp_path / "elsewhere")
    with pytest.raises(SinkError, match="is not as run run-1 left it") as caught:
        await session(parquet(path=tmp_path / "lake"), last=last, fresh=False)
    assert "batchflow replay run-1 --sink out" in caught.value.hint
    assert not (tmp_path / "lake").exists()


async def test_a_run_whose_file_is_gone_is_not_called_whole(tmp_path):
    sink = parquet(path=tmp_path)
    await sink.open(context(sink="out"), None)
    await sink.write(named(results(0, 1)))
    next(tmp_path.glob("*.parquet")).unlink()
    with pytest.raises(SinkError, match=r"run-1\.b\.out\.0\.parquet is gone"):
        await sink.complete()
    assert "_SUCCESS" not in files(tmp_path)


async def test_a_part_that_breaks_leaves_nothing_to_be_seen_nor_stored(tmp_path):
    with pytest.raises(Damage):
        await session(parquet(path=tmp_path), part_that_breaks("run-1/b/out/0", results(0, 3), Damage()))
    assert files(tmp_path) == []
    assert not [one for one in tmp_path.rglob("*") if one.is_file()]


async def test_a_disk_that_says_no_is_told_with_path_and_next_step(tmp_path):
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(SinkError, match=r"cannot write .*/lake: File exists") as caught:
        await session(parquet(path=tmp_path / "lake"), named(results(0, 1)))
    assert "batchflow resume" in caught.value.hint


async def test_the_same_refusals_are_told_from_the_record(tmp_path):
    sink = parquet(path=tmp_path, types={"n": "integer"}, carry=["n"])
    first = await session(sink, named(numbered([answered("a", n="x"), answered("b", n=2)])))
    again = await session(parquet(path=tmp_path, types={"n": "integer"}, carry=["n"]), named([]))
    assert isinstance(again, Written)
    assert again == first
