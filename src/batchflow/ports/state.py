"""Where the state of runs is kept."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from batchflow.model.change import Change, Entity, Fact
from batchflow.model.state import BatchState, Lease, Outlook

T = TypeVar("T", bound=Entity | Fact)


class StateStore(Protocol):
    """Keeps entities, facts, books and leases. It holds no policy: what a state means is decided in `machine`.

    Errors are `Stale`, `OverCap`, `Locked`, `SchemaTooNew`, `StoreUnavailable`. Any number of processes may have it open.
    """

    async def open(self) -> None:
        """Makes ready, creating or migrating the schema; a newer schema is refused and left untouched."""
        ...

    async def close(self) -> None:
        """Lets go; it may be called twice."""
        ...

    async def commit(self, change: Change) -> None:
        """Does everything in the change, durably, or nothing: then it raises what failed.

        `Put` with a version that is not the next one, or `Holding` a lease that is not held, is `Stale`; a broken `Cap` is `OverCap`.
        """
        ...

    async def get(self, kind: type[T], id: str) -> T | None:
        """Looks one up."""
        ...

    async def find(
        self, kind: type[T], where: Mapping[str, Any], *, after: str = "", limit: int = 1000, newest: bool = False
    ) -> Sequence[T]:
        """Lists those whose scalar fields equal the given values (a list or tuple means any of them), by id.

        `after` pages on from an id. `newest` turns the order round.
        """
        ...

    async def outlook(self, run: str, now: float, *, moving: Sequence[BatchState], limit: int) -> Outlook:
        """Everything that a round of the driver asks about a run, all of it as of one moment.

        `moving` are the states of the batches that it wants whole; of what is due it wants the oldest `limit`.
        """
        ...

    async def books(self, run: str) -> Mapping[str, int]:
        """These are all the counters of a run, zeros included."""
        ...

    async def lease(
        self, name: str, *, owner: str, host: str, pid: int, ttl: float, since: float | None = None
    ) -> Lease:
        """Takes or renews a lease, or raises `Locked` naming who holds it. The store's clock judges.

        With `since`, only the very lease that was taken then is renewed, also where it lapsed: `Locked` if anybody had
        it in between, whether or not he still has.
        """
        ...

    async def release(self, name: str, *, owner: str) -> None:
        """Gives a lease back, if it is still held by this owner."""
        ...

    async def holder(self, name: str) -> Lease | None:
        """Says who holds a lease now."""
        ...
