"""A policy that looks at carried columns. In a job file: `retry: {type: by_tenant}`, with `carry: [tenant]`."""

from batchflow import Plugins
from batchflow.plugin import Failure, GiveUp, Pause, Register, Retry, Verdict, Word, hookimpl

WEATHER = frozenset({Word.OVERLOADED, Word.SERVER_ERROR, Word.RATE_LIMITED, Word.EXPIRED, Word.MISSING})


class ByTenant:
    """Asks for the tenant `north` up to nine times, for others three."""

    def decide(self, failure: Failure) -> Verdict:
        if failure.word in {Word.NO_CREDIT, Word.UNAUTHORIZED}:
            return Pause(failure.message)
        most = 9 if failure.carried.get("tenant") == "north" else 3
        again = failure.word in WEATHER and failure.attempt < most
        return Retry(after=60.0 * failure.attempt) if again else GiveUp()


def by_tenant() -> ByTenant:
    """Ask again for some tenants more often than for others."""
    return ByTenant()


class House:
    @hookimpl
    def register_retries(self, register: Register) -> None:
        register("by_tenant", by_tenant)


policy = Plugins([House()]).retry("by_tenant")()
north = Failure(word=Word.OVERLOADED, message="busy", key="a", carried={"tenant": "north"}, attempt=3)
south = Failure(word=Word.OVERLOADED, message="busy", key="b", carried={"tenant": "south"}, attempt=3)
assert (policy.decide(north), policy.decide(south)) == (Retry(after=180.0), GiveUp())
