"""How long to wait before the provider is asked again."""

QUICKEST = 2.0
SLOWEST = 60.0
LONGEST_HINT = 300.0
PATIENCE = 0.1
"""A batch is looked at again when it has become a tenth older: its end is noticed at most that much late."""


def next_poll(age: float, retry_after: float | None = None) -> float:
    """Seconds until the next listing, when the youngest batch in flight is `age` seconds old.

    A server's `retry-after` is honoured as far as five minutes: a hint, not a way to be put to sleep.
    """
    delay = min(max(age * PATIENCE, QUICKEST), SLOWEST)
    return delay if retry_after is None else max(delay, min(retry_after, LONGEST_HINT))
