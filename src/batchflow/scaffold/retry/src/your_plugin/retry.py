"""A retry policy: some tenants are asked more often than others."""

from collections.abc import Mapping
from typing import Annotated

from batchflow.plugin import Doc, Failure, GiveUp, Pause, Retry, Seconds, Verdict, Word

STOPS = frozenset({Word.NO_CREDIT, Word.UNAUTHORIZED, Word.ARCHIVED})
"""What would take every other row down with it: the run waits for a person."""
PASSES = frozenset({Word.OVERLOADED, Word.SERVER_ERROR, Word.RATE_LIMITED, Word.EXPIRED, Word.MISSING})
"""What is the provider's weather: another attempt may well succeed."""
LONGEST_WAIT = 3600.0


class ByTenant:
    """Asks again what may pass, as often as the row's tenant is worth."""

    def __init__(self, column: str, attempts: int, more: Mapping[str, int], wait: float) -> None:
        self._column = column
        self._attempts = attempts
        self._more = more
        self._wait = wait

    def decide(self, failure: Failure) -> Verdict:
        """Decide what becomes of one failed row; the same failure gets the same verdict."""
        if failure.word in STOPS:
            return Pause(f"{failure.word}: {failure.message}. Mend it, then `batchflow resume`")
        tenant = str(failure.carried.get(self._column, ""))
        if failure.word not in PASSES or failure.attempt >= self._more.get(tenant, self._attempts):
            return GiveUp()
        return Retry(after=min(self._wait * 2 ** (failure.attempt - 1), LONGEST_WAIT))


def retry(
    *,
    attempts: Annotated[int, Doc("How often a row is asked at most, the first time included.")] = 3,
    more: Annotated[dict[str, int] | None, Doc("The tenants with a number of their own.")] = None,
    column: Annotated[str, Doc("The carried column that names the tenant.")] = "tenant",
    wait: Annotated[Seconds, Doc("How long to wait at first; then twice as long each time.")] = 30.0,
) -> ByTenant:
    """Ask again as often as a row's tenant is worth."""
    if min([attempts, *(more or {}).values()]) < 1:
        raise ValueError("attempts count the first one, too, so they are at least 1")
    return ByTenant(column, attempts, more or {}, wait)
