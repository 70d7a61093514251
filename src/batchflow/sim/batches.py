"""The batches the server holds and how they live: everything about them is worked out from the clock when asked.

A batch keeps its requests as slices of the body it came in; once it has ended, one byte per row says what became of
it (rows.py decides). Nothing here knows HTTP.
"""

import math
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from batchflow.sim.clock import DAY
from batchflow.sim.draw import Draw, digest
from batchflow.sim.validate import Context, Request

if TYPE_CHECKING:
    from batchflow.sim.cache import Traffic

EXPIRY = DAY
RETENTION = 29 * DAY


class Account(msgspec.Struct, frozen=True):
    """Whose batch it is: an organisation and a workspace."""

    organization: str
    workspace: str


class Status(Enum):
    """The three states of a batch on the wire."""

    IN_PROGRESS = "in_progress"
    CANCELING = "canceling"
    ENDED = "ended"


class Fate(msgspec.Struct, kw_only=True):
    """What the fault plan has in store for one batch."""

    unlisted_until: float = -math.inf
    hidden_until: float = -math.inf
    never_ends: bool = False
    foreign: bool = False


class Batch:
    """One batch; times are virtual seconds."""

    def __init__(
        self,
        *,
        identity: str,
        serial: int,
        account: Account,
        context: Context,
        requests: list[Request],
        created_at: float,
        duration: float,
        fate: Fate,
    ) -> None:
        self.id = identity
        self.serial = serial
        self.account = account
        self.context = context
        self.requests = requests
        self.created_at = created_at
        self.duration = duration
        self.fate = fate
        self.cancel_at: float | None = None
        self.cancel_ends_at = math.inf
        self.spared = False
        self.retrieves = 0
        self.outcomes: bytearray | None = None
        self.cached: dict[int, Traffic] = {}

    @property
    def expires_at(self) -> float:
        """24 hours after its creation."""
        return self.created_at + EXPIRY

    @property
    def archived_at(self) -> float:
        """29 days after its creation."""
        return self.created_at + RETENTION

    @property
    def ends_at(self) -> float:
        """When processing ends, as things stand."""
        if self.fate.never_ends:
            return math.inf
        return min(self.created_at + self.duration, self.expires_at, self.cancel_ends_at)

    def status(self, now: float) -> Status:
        """Where the batch is."""
        if now >= self.ends_at:
            return Status.ENDED
        return Status.IN_PROGRESS if self.cancel_at is None else Status.CANCELING

    def archived(self, now: float) -> bool:
        """Whether its results are gone."""
        return now >= self.archived_at

    def cancel(self, now: float, delay: float, *, spare: bool) -> None:
        """Starts canceling; a second cancel and one after the end change nothing."""
        if self.status(now) is Status.IN_PROGRESS:
            self.cancel_at = now
            self.cancel_ends_at = now + delay
            self.spared = spare

    def finish_times(self) -> Iterator[float]:
        """When each row would be done, were it not canceled or expired; spread evenly over the duration."""
        draw = Draw(digest("finish", self.id))
        for _ in self.requests:
            yield self.created_at + self.duration * draw.share()

    def done_share(self, now: float) -> float:
        """How much of the batch has been worked off, for servers that count while they go."""
        return min(1.0, max(0.0, (now - self.created_at) / self.duration)) if self.duration > 0 else 1.0


class Shelf:
    """All batches, newest first per workspace."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}
        self._open: dict[str, Batch] = {}

    def put(self, batch: Batch) -> None:
        """Keeps a new batch."""
        self._batches[batch.id] = batch
        self._open[batch.id] = batch

    def find(self, identity: str, account: Account, now: float) -> Batch | None:
        """The batch with this id, if this account may see it and it exists yet."""
        batch = self._batches.get(identity)
        if batch is None or batch.account != account or batch.created_at > now or now < batch.fate.hidden_until:
            return None
        return batch

    def listed(self, account: Account, now: float) -> list[Batch]:
        """The batches a listing shows, newest first."""
        mine = [
            batch
            for batch in self._batches.values()
            if batch.account == account and batch.created_at <= now and now >= batch.fate.unlisted_until
        ]
        return sorted(mine, key=lambda batch: (batch.created_at, batch.serial), reverse=True)

    def drop(self, batch: Batch) -> None:
        """Forgets a deleted batch."""
        self._batches.pop(batch.id, None)
        self._open.pop(batch.id, None)

    def due(self, now: float) -> list[Batch]:
        """The batches that have ended and whose rows are not decided yet, in the order they ended; each only once."""
        ended = sorted(
            (batch for batch in self._open.values() if batch.ends_at <= now), key=lambda batch: batch.ends_at
        )
        for batch in ended:
            del self._open[batch.id]
        return ended

    def processing(self) -> int:
        """How many requests are still being worked on."""
        return sum(len(batch.requests) for batch in self._open.values())

    def __iter__(self) -> Iterator[Batch]:
        return iter(list(self._batches.values()))

    def __len__(self) -> int:
        return len(self._batches)
