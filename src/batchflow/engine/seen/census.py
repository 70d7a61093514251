"""Looks at all keys once, before the run, to know which come twice: exactly, and in bounded memory.

Hashes are sorted on disk together with their items' numbers, so that what belongs together comes together. An item's
number counts everything the source yields, unreadable places too.
"""

import os
import secrets
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import xxhash

from batchflow.engine.seen.runs import split
from batchflow.engine.seen.scratch import make_private, scratch
from batchflow.engine.seen.sorting import Sorting

DIGEST = 16
NUMBER = 8
LIMIT = 65_536
"""Hashes in memory: about 6 MB."""


class Repeat(msgspec.Struct, frozen=True):
    """An item whose key has come before, and the item where it came first."""

    item: int
    first: int


class Census:
    """Is given every key of a source; then tells the first that repeats, or all items that a later one replaces."""

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._seed = secrets.randbits(64)
        self._items = 0
        with scratch(folder):
            make_private(folder)
            for path in folder.glob("*.run"):
                path.unlink()
        self._keys = Sorting(folder, "keys", width=DIGEST + NUMBER, limit=limit)

    def add_page(self, keys: Sequence[str | None]) -> None:
        """Takes the keys of the next items; None for an item that has none."""
        seed = self._seed
        entries = [
            xxhash.xxh3_128_digest(key.encode(), seed) + item.to_bytes(NUMBER, "big")
            for item, key in enumerate(keys, self._items)
            if key is not None
        ]
        self._items += len(keys)
        with scratch(self._folder):
            self._keys.add(entries)

    def first_repeat(self) -> Repeat | None:
        """Finds the first item whose key has come before. This ends the census."""
        repeats = (Repeat(later, earlier) for pairs in self._pairs() for earlier, later in pairs)
        with scratch(self._folder):
            return min(repeats, key=lambda repeat: repeat.item, default=None)

    def superseded(self) -> "Superseded":
        """Finds the items whose key comes again later. This ends the census."""
        path = self._folder / "superseded"
        with scratch(self._folder):
            numbers = Sorting(self._folder, "superseded", width=NUMBER, limit=self._limit)
            for pairs in self._pairs():
                numbers.add([earlier.to_bytes(NUMBER, "big") for earlier, _ in pairs])
            with path.open("wb") as file:
                file.writelines(map(b"".join, numbers.sorted()))
            return Superseded(path)

    def close(self) -> None:
        """Removes what lies on disk, if the census was not ended."""
        self._keys.close()

    def _pairs(self) -> Iterator[list[tuple[int, int]]]:
        """Yields, in lists, each item whose key comes again, and the next item that has it."""
        last = bytes(DIGEST + NUMBER)
        for entries in self._keys.sorted():
            again = [(one, two) for one, two in pairwise([last, *entries]) if one[:DIGEST] == two[:DIGEST]]
            yield [(_number(one), _number(two)) for one, two in again]
            last = entries[-1]


def _number(entry: bytes) -> int:
    return int.from_bytes(entry[DIGEST:], "big")


class Superseded:
    """The numbers of items to be passed over, on disk, asked for page by page."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        self.count = os.fstat(self._file).st_size // NUMBER

    def page(self, start: int, items: int) -> list[bool]:
        """Tells for each of the items from `start` on whether a later one replaces it."""
        flags = [False] * items
        at = bisect_left(range(self.count), start, key=self._item)
        block = os.pread(self._file, items * NUMBER, at * NUMBER)
        for entry in split(block, NUMBER):
            offset = int.from_bytes(entry, "big") - start
            if offset >= items:
                break
            flags[offset] = True
        return flags

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._file)

    def _item(self, at: int) -> int:
        return int.from_bytes(os.pread(self._file, NUMBER, at * NUMBER), "big")
