"""What people outside are told of a run: few things, each once if all goes well, and again under the same id if it does not."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["finished", "paused", "failed", "dead"]
"""The run came to its end; it waits for somebody; it broke; it has more dead letters than are thought normal."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """From how many dead letters on a run is worth a word: a number of rows, or a share of those that there are."""

    rows: int = 0
    share: float = 0.0

    def crossed(self, books: Mapping[str, int]) -> bool:
        """Tell whether the books of a run show that many."""
        dead = books["dead"] + books["unbuildable"]
        return dead > 0 and dead >= (self.rows or self.share * (books["rows"] + books["unbuildable"]))


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell. `id` is the same however often it is told."""

    id: str
    kind: Kind
    at: float
    job: str
    run: str
    status: str
    """`done`, `canceled`, `paused`, `failed`, or `running` and `draining` where the run goes on."""
    reason: str
    counts: Mapping[str, int]
    money: Mapping[str, float]
    """In dollars."""
    next: str
    """What to type now, where there is something to do."""
