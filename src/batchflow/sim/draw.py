"""Reproducible chance: every 'random' choice here is a function of the seed and of what is asked, never of order.

`random.Random` would do, but seeding one costs more than building a whole result row.
"""

from hashlib import blake2b

_ALPHABET = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_LETTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_MASK = (1 << 64) - 1


def digest(*parts: bytes | str | int) -> int:
    """64 bits that depend on all the parts."""
    hasher = blake2b(digest_size=8)
    for part in parts:
        piece = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        hasher.update(len(piece).to_bytes(8, "big"))
        hasher.update(piece)
    return int.from_bytes(hasher.digest(), "big")


class Draw:
    """A stream of choices from one number (splitmix64)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def bits(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def below(self, end: int) -> int:
        """An integer from 0 up to, not including, `end`."""
        return self.bits() % end

    def share(self) -> float:
        """A number from 0 up to, not including, 1."""
        return (self.bits() >> 11) / (1 << 53)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both possible."""
        return low + self.below(high - low + 1)


def token(seed: int, length: int = 22) -> str:
    """The random-looking part of an id."""
    return blake2b(seed.to_bytes(8, "big"), digest_size=length).digest().translate(_LETTERS).decode()


def shuffled(count: int, seed: int) -> list[int]:
    """The numbers 0..count-1 in an order of their own."""
    draw = Draw(seed)
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = draw.below(last + 1)
        order[last], order[other] = order[other], order[last]
    return order
