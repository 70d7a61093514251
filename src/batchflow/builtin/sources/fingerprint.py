"""Tells whether files are still what they were: by their contents, for nothing else tells.

A time of change says too much (`touch` would make a job that is paid for a new one) and too little (copies keep it, and so
may editors); size and edges miss a cell edited in the middle. Every byte is read, then: a gigabyte takes a tenth of a
second when the system still has it in memory, and a new run reads the file next anyway.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from pathlib import Path

import msgspec
import xxhash

from batchflow.builtin.sources.paged import paged
from batchflow.builtin.sources.tree import find

BLOCK = 1 << 20
HOP = 128 << 20
"""Bytes hashed in one go in a thread: a process that is told to stop does so between two."""
OPENING = 16 << 10
"""Bytes that could be read in the time it takes to open a file."""


async def fingerprint(path: Path) -> str:
    """Makes one word of the names and contents of the files that a path or pattern names.

    A file that may not be read counts with its name, for reading is where it is reported.
    """
    whole = xxhash.xxh3_128()
    hops: AsyncGenerator[int] = paged(_hash_all(path, whole))
    async with aclosing(hops):
        async for _ in hops:
            continue
    return whole.hexdigest()


def _hash_all(path: Path, whole: xxhash.xxh3_128) -> Generator[int]:
    """Hashes file by file, and yields whenever a hop's worth is done."""
    block = memoryview(bytearray(BLOCK))
    done = 0
    for file in find(path):
        content = xxhash.xxh3_128()
        for read in _blocks(file.path, block):
            if read:
                content.update(block[:read])
            done += read or OPENING
            if done >= HOP:
                yield done
                done = 0
        whole.update(msgspec.json.encode((file.name, content.hexdigest())))


def _blocks(path: str, block: memoryview) -> Generator[int]:
    """Reads a file into one block again and again, and yields how much was read; 0 for opening it."""
    try:
        with open(path, "rb", buffering=0) as raw:  # noqa: PTH123 -- a million Path objects are not free
            yield 0
            while read := raw.readinto(block):
                yield read
    except OSError:
        return
