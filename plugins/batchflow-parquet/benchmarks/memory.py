"""How much memory and CPU a million rows take on their way into a dataset, and out of one.

    python plugins/batchflow-parquet/benchmarks/memory.py            both, each in a process of its own
    python plugins/batchflow-parquet/benchmarks/memory.py sink       a hundred parts of 10,000 rows, in 8 partitions
    python plugins/batchflow-parquet/benchmarks/memory.py part       one part of a million rows, in 8 partitions
    python plugins/batchflow-parquet/benchmarks/memory.py source     one file, of row groups of 100,000 rows

Printed is the peak of each process (VmHWM), and what it was before the first row. A row is about 1 kB, and little of it repeats.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS, CHUNK = 1_000_000, 500
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "severity": {"enum": ["low", "high"]},
        "score": {"type": "number"},
        "quotes": {"type": "array", "items": {"type": "string"}},
    },
}


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def result(n):
    from batchflow.plugin import Result, Word

    output = {"severity": "high" if n % 3 else "low", "score": n / 7, "quotes": [os.urandom(400).hex()]}
    return Result(
        key=f"k{n:08d}", word=Word.OK, attempt=1, batch="b", row=n % 100_000, origin="", carried={"tenant": f"t{n % 8}"},
        output=output, model="claude-haiku-4-5", cost=1,
    )  # fmt: skip


async def rows(first, count):
    for start in range(first, first + count, CHUNK):
        yield [result(n) for n in range(start, start + CHUNK)]


async def write(lake, each):
    from batchflow_parquet.sink import parquet

    from batchflow.plugin import Part, SinkContext

    sink = parquet(path=lake, output=SCHEMA, carry=["tenant"], partition_by=["tenant"])
    await sink.open(SinkContext(run="r", job="j", sink="parquet", fresh=True), None)
    made = time.process_time()
    async for _ in rows(0, 10_000):
        pass
    making = (time.process_time() - made) / 10_000
    before, began, used = peak(), time.monotonic(), time.process_time()
    for first in range(0, ROWS, each):
        await sink.write(Part(name=f"r/b{first}/parquet/0", rows=rows(first, each)))
    took, used = time.monotonic() - began, time.process_time() - used - making * ROWS
    await sink.complete()
    size = sum(file.stat().st_size for file in lake.rglob("*.parquet"))
    print(
        f"sink, {ROWS // each} parts: {ROWS:,} rows to {size / 1e9:.2f} GB in {took:.0f} s, {used / ROWS * 1e6:.0f} us CPU a row: "
        f"peak {peak():.0f} MiB, {before:.0f} before the first row"
    )


def fill(path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [("id", pa.int64()), ("text", pa.string()), ("at", pa.timestamp("us")), ("tags", pa.list_(pa.string()))]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, ROWS, 100_000):
            numbers = range(first, first + 100_000)
            columns = [numbers, (os.urandom(450).hex() for _ in numbers), numbers, (["a", f"b{n}"] for n in numbers)]
            arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.table(arrays, schema=schema), row_group_size=100_000)


async def read(path):
    from batchflow_parquet.source import parquet

    source = parquet(path=path, key="id")
    before, began, used, count = peak(), time.monotonic(), time.process_time(), 0
    async for page in source.read(None):
        count += len(page.items)
    took, used = time.monotonic() - began, time.process_time() - used
    print(
        f"source: {count:,} rows from {path.stat().st_size / 1e9:.2f} GB in {took:.0f} s, {used / count * 1e6:.0f} us CPU a row: "
        f"peak {peak():.0f} MiB, {before:.0f} before the first row"
    )


def main():
    match sys.argv[1:]:
        case ["sink" | "part" as what]:
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(write(Path(folder, "lake"), 10_000 if what == "sink" else ROWS))
        case ["source"]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "in.parquet")
                subprocess.run([sys.executable, __file__, "fill", path], check=True)
                asyncio.run(read(path))
        case ["fill", path]:
            fill(path)
        case _:
            for what in ("sink", "part", "source"):
                subprocess.run([sys.executable, __file__, what], check=True)


if __name__ == "__main__":
    main()
