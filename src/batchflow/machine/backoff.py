"""How long to wait before the same thing is tried again."""

FIRST = 1.0
MOST = 60.0


def backoff(tries: int) -> float:
    """Double the wait with every try, up to a minute."""
    return min(MOST, FIRST * 2.0 ** min(tries, 16))
