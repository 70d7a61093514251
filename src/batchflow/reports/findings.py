"""What `batchflow doctor` finds: one sentence each, how grave it is, and what to type."""

from enum import StrEnum

import msgspec


class Grade(StrEnum):
    """How grave a finding is, the gravest first."""

    DAMAGE = "damage"
    """Store and objects do not agree, or hold what cannot be."""
    PERSON = "person"
    """Somebody must decide or mend something."""
    RESUME = "resume"
    """Nobody is at it; it goes on when it is resumed."""
    PASSES = "passes"
    """It passes by itself."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is stuck or wrong."""

    grade: Grade
    run: str
    subject: str
    """The id of what it is about."""
    sentence: str
    say: tuple[str, ...] = ()
    """Commands that help."""
    repair: bool = False
    """`--repair` may mend it, for nothing is lost by that."""
