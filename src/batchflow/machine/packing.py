"""When a pack is full."""

from collections.abc import Collection

import msgspec

JITTER = 512


class PackLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one pack may hold: rows, and bytes of parameters."""

    rows: int
    params_bytes: int


def target_rows(max_requests: int, draw: float, taken: Collection[int]) -> int:
    """Choose how many rows a full pack will have: max_requests minus a random 0..511, and no size that is in use.

    The size is what a lost batch is recognised by, so it should tell something. `draw` is a random number in [0, 1).
    """
    room = min(JITTER, max(1, max_requests // 4))
    start = int(draw * room)
    for step in range(room):
        rows = max_requests - (start + step) % room
        if rows not in taken:
            return rows
    return max_requests - start
