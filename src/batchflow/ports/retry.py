"""What becomes of a row that did not succeed."""

from typing import Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from batchflow.model.words import Word

MOST_ATTEMPTS = 20
"""Times a row is asked at most, whatever a policy says: each may be paid for. The last failure makes it a dead letter."""
LONGEST = 30 * 24 * 3600
"""Seconds a row may wait before it is asked for again."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One row's bad news. `carried` are the record's carried columns, so that a policy can differ by tenant."""

    word: Word
    message: str
    key: str
    carried: dict[str, Any]
    attempt: int


class Retry(msgspec.Struct, frozen=True):
    """Ask again after so many seconds, thirty days at most, with the request changed like this (read by `Amending.amend`)."""

    after: float = 0.0
    change: dict[str, Any] = {}


class GiveUp(msgspec.Struct, frozen=True):
    """A dead letter, with its word."""


class Accept(msgspec.Struct, frozen=True):
    """Deliver it as it is: here this word is an answer."""


class Pause(msgspec.Struct, frozen=True):
    """Keep the row, burn no attempt, and pause the run for this reason."""

    why: str

    def __post_init__(self) -> None:
        """Refuse a pause without a reason, where it is made: it is what a person reads, and what the run keeps."""
        if not isinstance(self.why, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
            raise TypeError(f"`why` is a text, and this is {self.why!r}")


Verdict: TypeAlias = Retry | GiveUp | Accept | Pause


@runtime_checkable
class RetryPolicy(Protocol):
    """Decides per failed row. Pure: the same failure gets the same verdict, for it may be asked twice.

    A row is asked twenty times at most, whatever is decided, and waits thirty days at most.
    """

    def decide(self, failure: Failure) -> Verdict:
        """Decides what becomes of one failed row."""
        ...
