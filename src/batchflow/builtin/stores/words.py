"""What the stores say when they refuse, in one place: SQLite and memory refuse alike."""

from datetime import UTC, datetime

from batchflow.model.change import Cap, Entity, Holding
from batchflow.model.errors import Locked, OverCap, Stale
from batchflow.model.state import Intent, Lease


def stale(entity: Entity) -> Stale:
    """The stored version is not the one before."""
    name = entity.token if isinstance(entity, Intent) else entity.id
    found = "it exists already" if entity.version == 1 else f"its stored version is not {entity.version - 1}"
    return Stale(
        f"{type(entity).__name__} {name} was changed by somebody else: {found}. Nothing of this change was written.",
        subject=name,
        hint="Read it again and decide anew.",
    )


def lease_not_held(holding: Holding) -> Stale:
    """The change was made by one who does not hold the lease, or no longer."""
    return Stale(
        f"{holding.owner} does not hold the lease {holding.lease}, or no longer. Nothing of this change was written.",
        hint="Somebody else may have taken over: `batchflow ps` shows who drives which run.",
    )


def had_by_another(lease: str) -> Locked:
    """A lease that lapsed cannot be renewed, for it was another's in between."""
    return Locked(
        f"{lease} was held by somebody else, after the lease of this process had lapsed. Nothing was changed.",
        hint="What this process knows of it is not true any more: begin anew.",
    )


def over_cap(cap: Cap, total: int) -> OverCap:
    """The books would go over a limit."""
    return OverCap(
        f"Run {cap.run}: {' + '.join(cap.counters)} would be {total}, and the limit is {cap.limit}. "
        "Nothing of this change was written.",
    )


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def locked(lease: Lease, now: float) -> Locked:
    """Another owner holds the lease."""
    return Locked(
        f"{lease.name} is held by process {lease.pid} on {lease.host}, since {_moment(lease.since)}. Nothing was changed.",
        hint=f"Wait for it, or stop process {lease.pid} on {lease.host}; "
        f"should it be dead, its lease lapses within {max(0.0, lease.until - now):.0f} s.",
    )
