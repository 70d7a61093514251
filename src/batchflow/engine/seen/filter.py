"""A Bloom filter over hashes: most keys are new, and the filter says so without a look at the disk.

One byte is looked at per key, and two of its bits: one access to memory, and the rest is done for a page at a time. Of
the keys that are new, at most one in 30 is looked up in vain (up to eight million keys): a larger table would hit less
often and cost more, for it would not stay in the processor's cache.
"""

from collections.abc import Iterable
from itertools import combinations

WIDTH = 16
STEPS = ((0, 1), (1 << 17, 1 << 18), (1 << 19, 1 << 20), (1 << 20, 1 << 21), (1 << 21, 1 << 22), (1 << 22, 1 << 23))
"""Up to how many keys the table has how many bytes: two a key, once it is full; above the last step, it has `LARGEST`."""

LARGEST = 1 << 24
_PAIRS = [(1 << one) | (1 << other) for one, other in combinations(range(8), 2)]
_PATTERNS = bytes(_PAIRS[value % len(_PAIRS)] for value in range(256))


def table_size(keys: int) -> int:
    """Tells how large a table should be; small runs stay small."""
    return next((size for limit, size in STEPS if keys <= limit), LARGEST)


class Filter:
    """Says of 16-byte hashes that they are certainly new, or may have been added."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._table = bytearray(size)

    def add(self, blocks: Iterable[bytes]) -> None:
        """Adds hashes, laid end to end."""
        table, mask = self._table, self.size - 1
        for block in blocks:
            for word, bits in zip(_words(block), _bits(block), strict=True):
                table[word & mask] |= bits

    def may_hold(self, block: bytes) -> list[bool]:
        """Tells for hashes, laid end to end, which of them may have been added."""
        table, mask = self._table, self.size - 1
        return [table[word & mask] & bits == bits for word, bits in zip(_words(block), _bits(block), strict=True)]


def _words(block: bytes) -> list[int]:
    return memoryview(block).cast("I")[::4].tolist()


def _bits(block: bytes) -> bytes:
    return block[8::WIDTH].translate(_PATTERNS)
