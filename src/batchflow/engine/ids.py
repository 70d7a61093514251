"""Names that nobody else gives: ids that sort by time, and tokens that tell nothing."""

import secrets
import time

LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
LENGTH = 16
_LETTER_OF = (LETTERS * (256 // len(LETTERS))).encode()
"""The letter of each byte; there are 32 letters, so each comes as often."""


def uuid7() -> str:
    """Make a UUIDv7 as 32 hex digits: ids made later sort later, to the millisecond and as far as the clock is right."""
    millis = time.time_ns() // 1_000_000
    chance = secrets.randbits(74)
    high = (millis << 16) | 0x7000 | (chance >> 62)
    low = (0b10 << 62) | (chance & ((1 << 62) - 1))
    return f"{high:016x}{low:016x}"


class Ids:
    """Makes ids that sort in the order they are made in, whatever happens to the clock.

    What is looked for "after" an id or "newest" must not be missed because a clock was set back between two processes, or
    because two were made in one millisecond.
    """

    def __init__(self, after: str = "") -> None:
        self._last = int(after or "0", 16)

    def __call__(self) -> str:
        """Make the next one."""
        self._last = max(int(uuid7(), 16), self._last + 1)
        return f"{self._last:032x}"


def token() -> str:
    """Make a token: 80 random bits in letters and digits that a custom_id may hold."""
    return secrets.token_bytes(LENGTH).translate(_LETTER_OF).decode()
