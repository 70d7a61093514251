"""Sorted files of entries that are all of one width, written once and never changed.

They are read with `pread` and not mapped into memory: what is touched of a mapped file counts as memory of the process,
and look-ups by hash touch all of it.
"""

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import xxhash

STRIDE = 512
"""Entries between two fences. 8 bytes in memory stand for 8 KiB of hashes on disk."""

BUDGET = 8_192
"""Entries that a merge holds."""


class Damaged(Exception):
    """A file is not what was written."""


class Facts(msgspec.Struct, frozen=True):
    """What must be known of a run to find it again and trust it."""

    name: str
    tier: int
    count: int
    checksum: str


class Run:
    """One sorted file, open for look-ups."""

    def __init__(self, folder: Path, facts: Facts, fences: "array[int]", width: int) -> None:
        self.facts = facts
        self.path = folder / facts.name
        self._width = width
        self._fences = fences
        self._file = os.open(self.path, os.O_RDONLY)

    def __contains__(self, entry: bytes) -> bool:
        head = int.from_bytes(entry[:8], "big")
        first = max(bisect_left(self._fences, head) - 1, 0)
        last = bisect_right(self._fences, head)
        stride = STRIDE * self._width
        segment = os.pread(self._file, (last - first) * stride, first * stride)
        found = segment.find(entry)
        while found > 0 and found % self._width:
            found = segment.find(entry, found + 1)
        return found >= 0

    def blocks(self, entries: int = 16 * STRIDE) -> Iterator[bytes]:
        """Yields the file in pieces of so many entries."""
        at = 0
        while block := os.pread(self._file, entries * self._width, at):
            at += len(block)
            yield block

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._file)


class _Ledger:
    """Watches a run's bytes go by, to write down its facts and fences."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.fences = array("Q")
        self._width = width
        self._sum = xxhash.xxh3_64()

    @property
    def checksum(self) -> str:
        return self._sum.hexdigest()

    def watch(self, block: bytes) -> bytes:
        entries = len(block) // self._width
        for entry in range(-self.count % STRIDE, entries, STRIDE):
            self.fences.append(int.from_bytes(block[entry * self._width : entry * self._width + 8], "big"))
        self.count += entries
        self._sum.update(block)
        return block


def write_run(folder: Path, name: str, tier: int, blocks: Iterable[bytes], *, width: int) -> Run:
    """Writes sorted entries to a new file."""
    ledger = _Ledger(width)
    with (folder / name).open("wb") as file:
        file.writelines(map(ledger.watch, blocks))
    return Run(folder, Facts(name, tier, ledger.count, ledger.checksum), ledger.fences, width)


def open_run(folder: Path, facts: Facts, *, width: int) -> Run:
    """Opens a run that was written before; one that has changed since is `Damaged`."""
    ledger = _Ledger(width)
    try:
        with (folder / facts.name).open("rb") as file:
            while block := file.read(STRIDE * width * 16):
                ledger.watch(block)
    except FileNotFoundError as error:
        raise Damaged(facts.name) from error
    if (ledger.count, ledger.checksum) != (facts.count, facts.checksum):
        raise Damaged(facts.name)
    return Run(folder, facts, ledger.fences, width)


def split(block: bytes, width: int) -> list[bytes]:
    """Cuts a block into its entries."""
    return [block[at : at + width] for at in range(0, len(block), width)]


def merge(runs: Sequence[Run], width: int, *, budget: int = BUDGET) -> Iterator[list[bytes]]:
    """Yields the entries of all runs in order, a list at a time.

    Everything up to the least of the runs' last-read entries can be given out, and sorting a few sorted pieces is what
    `sort` is best at: a quarter of the time of `heapq.merge`.
    """
    blocks = [run.blocks(max(budget // len(runs), 1)) for run in runs]
    ahead: list[list[bytes]] = [[] for _ in runs]
    while True:
        for index, pieces in enumerate(blocks):
            if not ahead[index]:
                ahead[index] = split(next(pieces, b""), width)
        waiting = [entries for entries in ahead if entries]
        if not waiting:
            return
        bound = min(entries[-1] for entries in waiting)
        ready: list[bytes] = []
        for entries in waiting:
            cut = bisect_right(entries, bound)
            ready += entries[:cut]
            del entries[:cut]
        ready.sort()
        yield ready
