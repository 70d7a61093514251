"""Names that nobody else gives: ids that sort by time, and tokens that tell nothing."""

import secrets
import time

LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
LENGTH = 16


def uuid7() -> str:
    """Make a UUIDv7 as 32 hex digits: ids made later sort later (to the millisecond)."""
    millis = time.time_ns() // 1_000_000
    high = (millis << 16) | 0x7000 | secrets.randbits(12)
    low = (0b10 << 62) | secrets.randbits(62)
    return f"{high:016x}{low:016x}"


def token() -> str:
    """Make a token: 80 random bits in letters and digits that a custom_id may hold."""
    return "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
