"""Sets of rows as bytes: bit n is row n, lowest bit first."""

from collections.abc import Iterable, Iterator


def bitmap(rows: Iterable[int], count: int) -> bytes:
    """Make a bitmap of rows below `count`, without trailing zero bytes."""
    bits = bytearray((count + 7) // 8)
    for row in rows:
        bits[row >> 3] |= 1 << (row & 7)
    return bytes(bits.rstrip(b"\0"))


def rows_of(bits: bytes) -> Iterator[int]:
    """List the rows of a bitmap in order."""
    for index, byte in enumerate(bits):
        if byte:
            base = index << 3
            for bit in range(8):
                if byte >> bit & 1:
                    yield base + bit
