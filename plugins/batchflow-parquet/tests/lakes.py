"""A folder of Parquet files as an analyst sees it, through DuckDB."""

import duckdb
import msgspec

from batchflow.plugin import Word
from batchflow.testing.sink import context, part, result


def ask(path, sql="select * from lake order by key", **options):
    """Answers a question about `lake`, in dicts."""
    said = "".join(f", {name}={value}" for name, value in options.items())
    duckdb.execute(f"create or replace temp view lake as select * from read_parquet('{path}/**/*.parquet'{said})")
    asked = duckdb.execute(sql)
    names = [column[0] for column in asked.description]
    return [dict(zip(names, row, strict=True)) for row in asked.fetchall()]


def types(path):
    return {row["column_name"]: row["column_type"] for row in ask(path, "describe lake")}


def files(path):
    """Names what readers read, and what stands beside it."""
    return sorted(
        str(one.relative_to(path)) for one in path.rglob("*") if one.is_file() and "_batchflow" not in one.parts
    )


def answered(key, output=None, *, row=0, **carried):
    return msgspec.structs.replace(
        result(key, msgspec.json.encode(output).decode()), output=output, row=row, carried=carried, word=Word.OK
    )


def numbered(rows):
    return [msgspec.structs.replace(row, row=number) for number, row in enumerate(rows)]


async def session(sink, *parts, last=None, fresh=True, run="run-1", whole=False):
    """Writes some parts, as one process does; gives what the sink said of the last."""
    given = None
    await sink.open(context(run, "out", fresh=fresh), last)
    try:
        for one in parts:
            given = await sink.write(one)
        if whole:
            await sink.complete()
    finally:
        await sink.close()
    return given


def named(rows, batch="b", generation=0, run="run-1"):
    return part(f"{run}/{batch}/out/{generation}", rows)
