"""Records and payloads in a bucket, for the contracts that both servers are held to."""

import csv
import gzip
import io
import json
from contextlib import AsyncExitStack

import pytest
import zstandard
from batchflow_s3 import blobs
from batchflow_s3.source import s3

from batchflow.testing import BlobStoreContract

PACKERS = {"": bytes, "gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}


def made(shelf, path, **options):
    return s3(url=f"s3://{shelf.bucket}/{path}", endpoint_url=shelf.url, path_style=True, **{"key": "id"} | options)


def jsonl(records):
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


def rows(records):
    text = io.StringIO(newline="")
    out = csv.writer(text)
    out.writerow(["id", "text"])
    out.writerows((record["id"], record["text"]) for record in records)
    return text.getvalue().encode()


def rows_of(shelf, format):
    """Gives keys and texts of what a sink has written."""
    csv.field_size_limit(1 << 30)
    for key, data in shelf.data("triage/"):
        assert key.endswith(f".{format}")
        if format.startswith("csv"):
            yield from ((row["key"], row["text"]) for row in csv.DictReader(io.StringIO(data.decode(), newline="")))
        else:
            yield from ((row["key"], row.get("text", "")) for row in map(json.loads, data.splitlines()))


class InBucket:
    """Records in three objects of a folder, plain or compressed."""

    def __init__(self, shelf, format):
        self.shelf = shelf
        self.lines, _, self.packed = format.partition(".")
        self.format = format

    def fill(self, records):
        write = jsonl if self.lines == "jsonl" else rows
        self.put(write(records[n * len(records) // 3 : (n + 1) * len(records) // 3]) for n in range(3))

    def put(self, contents):
        for n, data in enumerate(contents):
            self.shelf.put(f"in/{n}.{self.format}", PACKERS[self.packed](data))

    def source(self):
        return made(self.shelf, f"in/*.{self.format}")

    def remove(self):
        for key in self.shelf.names():
            self.shelf.delete(key)


class SpoiltLines(InBucket):
    def spoil(self, records):
        half = len(records) // 2
        self.put(
            [jsonl(records[:half]) + b"{not json\n", b"\xff\xfe\n".join([b"[1]\n", jsonl(records[half:])]), b"{}\n"]
        )
        return 4


PREFIX = "state/objects/"


def connected(shelf, url=None):
    return blobs.s3(url=f"s3://{shelf.bucket}/{PREFIX}", endpoint_url=url or shelf.url, path_style=True)


def spoil(shelf, name, at):
    data = bytearray(shelf.get(PREFIX + name))
    data[at] ^= 1
    shelf.put(PREFIX + name, bytes(data))


class Objects(BlobStoreContract):
    @pytest.fixture
    async def connect(self, shelf):
        async with AsyncExitStack() as handles:

            def connect():
                handle = connected(shelf)
                handles.push_async_callback(handle.close)
                return handle

            yield connect

    @pytest.fixture
    def damage(self, shelf):
        return lambda name, at: spoil(shelf, name, at)
