"""How a job wants to be run: plain values that config and the Python face both produce."""

from typing import Any, Literal

import msgspec

from batchflow.model.money import Nano

MINUTE = 60.0
MB = 1_000_000


class BatchRules(msgspec.Struct, frozen=True, kw_only=True):
    """How packs are cut. 10,000 requests peak at a fifth of the memory of 100,000 at no cost."""

    max_requests: int = 10_000
    max_bytes: int = 64 * MB


class SubmitRules(msgspec.Struct, frozen=True, kw_only=True):
    """What to do when a reply was lost."""

    grace: float = 10 * MINUTE
    on_absent: Literal["resubmit", "hold"] = "resubmit"
    timeout: float = 10 * MINUTE
    in_flight: int = 8
    """Batches at the provider at once."""
    patience: float = 5 * MINUTE
    """How long the API may stay out of reach before the run is paused; half a minute where nothing is in flight yet."""


class RetryRules(msgspec.Struct, frozen=True, kw_only=True):
    """The built-in policy's settings. `words` overrides the default decision of a word."""

    attempts: int = 3
    words: dict[str, Literal["again", "dead", "deliver"]] = {}
    truncated: "Truncated | None" = None
    after: float = 30.0
    """How long a retry pack waits for company after its oldest row failed."""


class Truncated(msgspec.Struct, frozen=True, kw_only=True):
    """How a truncated answer is asked for again."""

    factor: float = 2.0
    ceiling: int


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a job that is not a component."""

    batch: BatchRules = BatchRules()
    submit: SubmitRules = SubmitRules()
    retry: RetryRules = RetryRules()
    budget: Nano | None = None
    plugin_timeout: float = 10 * MINUTE
    """How long a plugin's part may go without a step before it is given up."""
    carry: tuple[str, ...] = ()
    on_duplicate: Literal["first", "last", "error"] = "first"
    repeat: Literal["", "always"] = ""
    summary: dict[str, Any] = {}
