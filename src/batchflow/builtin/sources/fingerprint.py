"""Tells whether files are still what they were, without reading them whole."""

import os
from collections.abc import Iterable

import msgspec
import xxhash

from batchflow.builtin.sources.tree import Found

EDGE = 64 * 1024


def fingerprint(files: Iterable[Found]) -> str:
    """Makes one word of the files' names, sizes, times of change, and the hash of their first and last 64 KiB.

    A time of change alone is not honest (copies keep it), and neither are size and edges (a cell may be edited in the
    middle); an edit that escapes all of them is made on purpose. A file that may not be read counts with its name, for
    reading is where it is reported.
    """
    whole = xxhash.xxh3_128()
    for file in files:
        whole.update(msgspec.json.encode((file.name, _facts(file.path))))
    return whole.hexdigest()


def _facts(path: str) -> tuple[int, int, str] | None:
    try:
        with open(path, "rb", buffering=0) as raw:  # noqa: PTH123 -- a million Path objects are not free
            facts = os.fstat(raw.fileno())
            edges = xxhash.xxh3_128(os.pread(raw.fileno(), EDGE, 0))
            if facts.st_size > EDGE:
                edges.update(os.pread(raw.fileno(), EDGE, facts.st_size - EDGE))
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns, edges.hexdigest()
