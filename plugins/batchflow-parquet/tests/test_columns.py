"""Results into typed columns: what a JSON schema becomes, what `fields` and `types` say, and which rows do not fit."""

import datetime as dt
import re

import pyarrow.parquet as pq
import pytest
from batchflow_parquet.sink import parquet
from hypothesis import given, settings
from hypothesis import strategies as st
from lakes import answered, ask, named, numbered, session, types

from batchflow.plugin import Written

VERDICT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["severity", "items"],
    "properties": {
        "severity": {"enum": ["low", "high"]},
        "score": {"type": ["number", "null"]},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
        "notes": {"type": "object"},
        "sure": {"type": "boolean"},
    },
    "$defs": {
        "item": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"name": {"type": "string"}, "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        }
    },
}
FULL = {
    "severity": "high",
    "score": 0.5,
    "items": [{"name": "a", "count": 2}, {"name": "b"}],
    "notes": {"x": [1]},
    "sure": True,
}


async def test_an_output_schema_becomes_a_struct_that_duckdb_reads(tmp_path):
    sink = parquet(path=tmp_path, output=VERDICT)
    sparse = {"severity": "low", "score": None, "items": []}
    await session(sink, named([answered("a", FULL), answered("b", sparse), answered("c")]))
    assert types(tmp_path)["output"] == (
        'STRUCT(severity VARCHAR, score DOUBLE, items STRUCT("name" VARCHAR, count BIGINT)[], notes VARCHAR, sure BOOLEAN)'
    )
    full, sparse, none = (row["output"] for row in ask(tmp_path))
    assert full == FULL | {"items": [{"name": "a", "count": 2}, {"name": "b", "count": None}], "notes": '{"x":[1]}'}
    assert sparse == {"severity": "low", "score": None, "items": [], "notes": None, "sure": None}
    assert none is None
    assert [row["text"] for row in ask(tmp_path)] == [None, None, "null"]


async def test_the_usual_columns_have_types_and_carried_ones_stand_beside_them(tmp_path):
    sink = parquet(path=tmp_path, carry=["tenant", "size"])
    await session(sink, named([answered("a", tenant="acme", size=3), answered("b", tenant={"x": True})]))
    assert types(tmp_path) == {
        "key": "VARCHAR", "word": "VARCHAR", "tenant": "VARCHAR", "size": "VARCHAR", "text": "VARCHAR", "error": "VARCHAR",
        "attempt": "BIGINT", "model": "VARCHAR", "input_tokens": "BIGINT", "output_tokens": "BIGINT", "cost": "DOUBLE", "batch": "VARCHAR",
    }  # fmt: skip
    first, second = ask(tmp_path)
    assert (first["word"], first["tenant"], first["size"], first["cost"]) == ("ok", "acme", "3", 20_500 / 1e9)
    assert (second["tenant"], second["size"]) == ('{"x":true}', None)


async def test_fields_take_their_types_from_the_schema_and_types_says_the_others(tmp_path):
    fields = {
        "id": "key", "score": "output.score", "first": "output.items[0].name", "notes": "output.notes", "is": "'done'",
        "amount": "amount", "on": "day", "at": "moment", "paid": "paid", "raw": "raw", "usage": "usage",
    }  # fmt: skip
    wanted = {"amount": "number", "on": "date", "at": "timestamp", "paid": "boolean", "raw": "json"}
    sink = parquet(
        path=tmp_path, fields=fields, types=wanted, output=VERDICT, carry=["amount", "day", "moment", "paid", "raw"]
    )
    csv = {"amount": "12.5", "day": "2026-01-31", "moment": "2026-01-31T10:00:00+02:00", "paid": "true", "raw": "x"}
    plain = {"amount": 3, "day": None, "moment": "2026-01-31T10:00:00", "paid": False, "raw": [1]}
    await session(sink, named([answered("a", FULL, **csv), answered("b", None, **plain)]))
    rows = pq.read_table(next(tmp_path.glob("*.parquet"))).to_pylist()
    utc = dt.UTC
    assert [[row[name] for name in ("amount", "on", "paid", "raw")] for row in rows] == [
        [12.5, dt.date(2026, 1, 31), True, '"x"'],
        [3.0, None, False, "[1]"],
    ]
    assert [row["at"] for row in rows] == [
        dt.datetime(2026, 1, 31, 8, tzinfo=utc),
        dt.datetime(2026, 1, 31, 10, tzinfo=utc),
    ]
    assert [[row[name] for name in ("score", "first", "notes", "is")] for row in rows] == [
        [0.5, "a", '{"x":[1]}', "done"],
        [None, None, None, "done"],
    ]
    assert rows[0]["usage"].startswith('{"input_tokens":10,"output_tokens":5')


@pytest.mark.parametrize(
    ("schema", "type"),
    [
        ({"type": "string"}, "VARCHAR"),
        ({"const": 3}, "BIGINT"),
        ({"enum": [1, None]}, "BIGINT"),
        ({"enum": ["a", 1]}, "VARCHAR"),
        ({"type": ["integer", "number", "null"]}, "DOUBLE"),
        ({"type": ["string", "integer"]}, "VARCHAR"),
        ({"oneOf": [{"type": "boolean"}, {"type": "null"}]}, "BOOLEAN"),
        ({"anyOf": [{"type": "boolean"}, {"type": "string"}]}, "VARCHAR"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, "DOUBLE[][]"),
        ({"type": "array", "items": {"type": "object"}}, "VARCHAR[]"),
        ({"type": "array"}, "VARCHAR"),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "string"}}, "VARCHAR"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, "VARCHAR"),
        ({"type": "object", "additionalProperties": False}, "VARCHAR"),
        ({"$ref": "https://elsewhere.example/schema"}, "VARCHAR"),
        ({"$ref": "#/nowhere"}, "VARCHAR"),
        (
            {"$defs": {"n": {"type": "object", "additionalProperties": False, "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
            'STRUCT(v BIGINT, "next" VARCHAR)',
        ),
    ],
)  # fmt: skip
async def test_each_schema_has_its_type(tmp_path, schema, type):
    await session(parquet(path=tmp_path, output=schema), named([answered("a")]))
    assert types(tmp_path)["output"] == type


async def test_rows_that_do_not_fit_are_refused_by_column_and_hold_back_no_other(tmp_path):
    schema = VERDICT | {"properties": VERDICT["properties"] | {"score": {"type": "integer"}}}
    outputs = [
        FULL | {"score": 1},
        FULL | {"score": 2**63},
        FULL | {"score": 1.0},
        FULL | {"score": 1.5},
        FULL | {"extra": 1},
        FULL | {"items": "abc"},
        FULL | {"items": [{"name": 5}]},
        "no object",
        FULL | {"sure": 1, "score": None},
        {},
    ]
    rows = numbered(answered(f"k{n}", output) for n, output in enumerate(outputs))
    written = await session(parquet(path=tmp_path, output=schema), named(rows))
    assert isinstance(written, Written)
    assert [row["key"] for row in ask(tmp_path)] == ["k0", "k2", "k9"]
    assert written.receipt["rows"] == 3
    why = {one.row: one.why for one in written.refused}
    assert set(why) == {1, 3, 4, 5, 6, 7, 8}
    assert all(said.startswith("it does not fit column 'output': ") for said in why.values())
    assert "`output.items[0].name`" in why[6]
    assert "unknown field `extra`" in why[4]


async def test_a_part_of_nothing_but_misfits_leaves_no_file(tmp_path):
    sink = parquet(path=tmp_path, types={"n": "integer"}, carry=["n"])
    written = await session(sink, named(numbered([answered("a", n="x"), answered("b", n=2**70)])))
    assert (written.receipt["rows"], written.receipt["files"], len(written.refused)) == (0, 0, 2)
    assert not list(tmp_path.glob("**/*.parquet"))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["severity", "score", "items", "name", "z"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(JSON_VALUES, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
async def test_whatever_an_output_is_each_row_is_kept_or_refused_and_none_is_changed(tmp_path_factory, outputs):
    lake = tmp_path_factory.mktemp("lake")
    schema = {
        "type": "object", "additionalProperties": False,
        "properties": {"severity": {"type": "string"}, "score": {"type": "number"}, "items": {"type": "array", "items": {"type": "integer"}}},
    }  # fmt: skip
    given = await session(
        parquet(path=lake, output=schema), named(numbered(answered(f"k{n}", one) for n, one in enumerate(outputs)))
    )
    refused = {one.row for one in given.refused} if isinstance(given, Written) else set()
    kept = [one for n, one in enumerate(outputs) if n not in refused]
    there = [row["output"] for file in lake.glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    whole = {"severity": None, "score": None, "items": None}
    assert there == [one if one is None else whole | one for one in kept]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fields": {"x": "output.sevrity"}, "output": VERDICT}, "field 'x': output has no member 'sevrity'; the schema gives it severity, score, items, notes, sure"),
        ({"fields": {"x": "output.items[0].nome"}, "output": VERDICT}, "field 'x': output.items.0 has no member 'nome'; the schema gives it name, count"),
        ({"fields": {"x": "tennant"}, "carry": ["tenant"]}, "field 'x': there is no 'tennant'; did you mean tenant?"),
        ({"carry": ["text"]}, "the job carries a column 'text', and results have one of that name: name both in `fields`"),
        ({"types": {"amount": "number"}}, "types: there is no column 'amount'; there is key, word"),
        ({"partition_by": ["tenant"]}, "partition_by: there is no column 'tenant'; there is key, word"),
        ({"partition_by": ["cost"]}, "partition_by: column 'cost' holds numbers with fractions"),
        ({"partition_by": ["word", "word"]}, "partition_by must name each column once"),
        ({"fields": {"x": "key"}, "partition_by": ["x"]}, "partition_by must name each column once, and leave some for the files"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_where_the_job_is_read(tmp_path, options, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        parquet(path=tmp_path, **options)
