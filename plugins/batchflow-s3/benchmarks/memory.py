"""How much memory a gigabyte of results takes on its way into a bucket.

    python plugins/batchflow-s3/benchmarks/memory.py sink      the sink alone, in a process of its own
    python plugins/batchflow-s3/benchmarks/memory.py run       all of `batchflow run`, against the simulator, then of `batchflow replay`
    python plugins/batchflow-s3/benchmarks/memory.py file      the same into a file: what batchflow takes by itself
    python plugins/batchflow-s3/benchmarks/memory.py client    a client, and what it takes to have one

The server is SeaweedFS where its binary is, else moto. Printed is the peak of the process that was measured (VmHWM).
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

GB = 10**9
ROWS, SIZE = 1_000_000, 1100
JOB = """
version: 1
provider: {{base_url: "{sim}", api_key: "sk-memory"}}
jobs:
  memory:
    source: {{type: jsonl, path: in.jsonl, key: id, carry: [note]}}
    request: {{model: claude-haiku-4-5, max_tokens: 60, prompt: "Summarise {{{{ id }}}}"}}
    sinks:
      - {sink}
"""
BUCKET = '{{type: s3, url: "s3://memory/triage/", endpoint_url: "{s3}", path_style: true, format: {format}}}'
FILE = "{type: jsonl, path: out.jsonl}"


def peak(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


async def write(url, format):
    """Is the process that is measured: a sink that is given a gigabyte in one part."""
    from batchflow_s3.sink import s3

    from batchflow.plugin import Part, Result, SinkContext, Word

    async def rows():
        text = "x" * (SIZE - 200)
        for start in range(0, ROWS, 500):
            yield [
                Result(key=f"k{n:08d}", word=Word.OK, attempt=1, batch="b", row=n, origin="", carried={}, text=f"{os.urandom(20).hex()}{text}", cost=1)
                for n in range(start, start + 500)
            ]  # fmt: skip

    sink = s3(url="s3://memory/triage/", endpoint_url=url, path_style=True, format=format)
    await sink.open(SinkContext(run="r", job="j", sink="s3", fresh=True), None)
    before, began = peak("self"), time.monotonic()
    receipt = await sink.write(Part(name="r/b/s3/0", rows=rows()))
    took = time.monotonic() - began
    await sink.close()
    print(
        f"{receipt['bytes'] / GB:.2f} GB as {format} in {took:.0f} s: peak {peak('self'):.0f} MiB, {before:.0f} before the first row"
    )


def run(sim, sink):
    """Runs a job whose records carry a gigabyte, then brings its results again."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "batchflow.yaml").write_text(JOB.format(sim=sim, sink=sink))
        note, rows = "x" * 9900, GB // 10_000
        with Path(folder, "in.jsonl").open("w") as out:
            out.writelines(
                f"{json.dumps({'id': f'k-{n}', 'note': os.urandom(50).hex() + note})}\n" for n in range(rows)
            )
        print(f"{rows:,} rows that carry 1 GB")
        watch("run", folder)
        Path(folder, "out.jsonl").unlink(missing_ok=True)
        watch("replay", folder, "memory", "--sink", "jsonl" if sink == FILE else "s3")


def watch(verb, folder, *words):
    """Looks at a command until it ends."""
    highest, began = 0.0, time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "batchflow", verb, *words, "--json"], cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            highest = max(highest, peak(process.pid))
            time.sleep(0.05)
    print(f"{verb}: ended {process.returncode} after {time.monotonic() - began:.0f} s, peak {highest:.0f} MiB")


async def connect():
    """Makes a client in this process, step by step."""
    from batchflow_s3.client import Server
    from batchflow_s3.place import access

    import batchflow.plugin  # noqa: F401 - what every plugin has imported

    before = peak("self")
    import aioboto3  # noqa: F401 - to tell what it takes from what making a client takes

    imported = peak("self")
    async with Server(access(endpoint_url="http://127.0.0.1:9", region=None, path_style=True)).connect():
        print(
            f"{before:.0f} MiB before, {imported - before:.1f} for importing aioboto3, {peak('self') - imported:.1f} for a client"
        )


def main():
    from servers import KEYS, moto_server, weed_binary, weed_server

    os.environ.update(KEYS)
    what, format = (*sys.argv[1:], "sink", "jsonl")[:2] if len(sys.argv) != 2 else (sys.argv[1], "jsonl")
    if what.startswith("http"):
        asyncio.run(write(what, format))
        return
    if what == "client":
        asyncio.run(connect())
        return
    import boto3
    from botocore.config import Config

    with tempfile.TemporaryDirectory() as folder, weed_server(Path(folder)) if weed_binary() else moto_server() as url:
        boto3.client("s3", endpoint_url=url, config=Config(s3={"addressing_style": "path"})).create_bucket(
            Bucket="memory"
        )
        if what == "sink":
            subprocess.run([sys.executable, __file__, url, format], check=True)
            return
        from batchflow.sim import Simulator

        with Simulator(seed=1, speed=100.0, duration=1.0) as sim:
            run(sim.url, FILE if what == "file" else BUCKET.format(s3=url, format=format))


if __name__ == "__main__":
    main()
