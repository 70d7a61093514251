"""What becomes of a row that did not succeed."""

from typing import Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from batchflow.model.words import Word


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One row's bad news. `carried` are the record's carried columns, so that a policy can differ by tenant."""

    word: Word
    message: str
    key: str
    carried: dict[str, Any]
    attempt: int


class Retry(msgspec.Struct, frozen=True):
    """Ask again after so many seconds, with the request changed like this (read by `Amending.amend`)."""

    after: float = 0.0
    change: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """Refuse a wait that is over before it begins, where it is made."""
        if isinstance(self.after, int | float) and self.after < 0:  # pyright: ignore[reportUnnecessaryIsInstance] - a plugin's, whatever its type says
            raise ValueError(f"nobody can wait {self.after:g} s: `after` is no less than nothing")


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
    """Decides per failed row. Pure: the same failure gets the same verdict, for it may be asked twice."""

    def decide(self, failure: Failure) -> Verdict:
        """Decides what becomes of one failed row."""
        ...
