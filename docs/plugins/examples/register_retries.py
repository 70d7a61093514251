"""A policy that looks at carried columns, and leaves the rest to the standard one. In a job file: `retry: {type: by_tenant}`, with `carry: [tenant]` in the job's `source`."""

from batchflow import Plugins
from batchflow.plugin import Failure, GiveUp, Pause, Register, Retry, Verdict, Word, hookimpl, standard


class ByTenant:
    """Asks for the tenant `north` up to nine times, for others three. What is worth asking again is a long table, and not ours."""

    def __init__(self) -> None:
        self._north, self._others = standard(attempts=9), standard(attempts=3)

    def decide(self, failure: Failure) -> Verdict:
        policy = self._north if failure.carried.get("tenant") == "north" else self._others
        return policy.decide(failure)


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
broke = Failure(word=Word.NO_CREDIT, message="no credit", key="c", carried={}, attempt=1)
assert isinstance(policy.decide(north), Retry)
assert policy.decide(south) == GiveUp()
assert isinstance(policy.decide(broke), Pause)
