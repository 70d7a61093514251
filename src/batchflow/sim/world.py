"""The state of the simulated service: accounts, batches, faults and counters, and what each call does to them.

HTTP-free, so that tests and the Python face can look in. It lives on the server's thread.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from batchflow.sim import wire
from batchflow.sim.answers import Answerer
from batchflow.sim.batches import Account, Batch, Fate, Shelf, Status
from batchflow.sim.cache import PromptCache
from batchflow.sim.clock import SimClock, rfc3339
from batchflow.sim.draw import Draw, digest
from batchflow.sim.example import ID as EXAMPLE
from batchflow.sim.example import example
from batchflow.sim.faults import FaultPlan, Faults, Hits
from batchflow.sim.rows import Counts, Judge, counts
from batchflow.sim.validate import Context, Request

_REMEMBERED = 1000
_ORGANIZATION = "org_simulated"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the simulated service behaves when nothing goes wrong."""

    seed: int = 0
    duration: float = 1800.0
    jitter: float = 0.2
    cancel_delay: float = 25.0
    cache_misses: float = 0.3
    keys: Mapping[str, str] | None = None
    strict_schemas: bool = False
    max_bytes: int = 256_000_000
    html_413: bool = False


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One call as the access log has it; `status` is None where the caller got no reply. No credentials are kept."""

    at: float
    endpoint: str
    method: str
    path: str
    status: int | None
    faults: list[str]
    headers: dict[str, str]


Listener = Callable[[Heard], object]


class World:
    """Everything the service knows."""

    def __init__(
        self,
        settings: Settings,
        clock: SimClock,
        plan: FaultPlan,
        *,
        write: Answerer | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._listener = listener
        self._write = write
        self._connections: Callable[[], int] = int
        self._serial = 0
        self._requests = 0
        self.reset(plan)

    def reset(self, plan: FaultPlan) -> None:
        """Forgets all batches, counters and cached prompts; ids go on, so that none comes twice."""
        self.faults = Faults(plan, self.settings.seed)
        cache = PromptCache(self.settings.seed, self.settings.cache_misses)
        self.judge = Judge(self.settings.seed, self.faults, cache, self._write)
        self.shelf = Shelf()
        self.heard: deque[Heard] = deque(maxlen=_REMEMBERED)
        self.calls: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self.tally: Counter[str] = Counter()

    def replan(self, plan: FaultPlan) -> None:
        """Replaces the fault plan; calls are counted anew, and so are attempts where other rows are to fail."""
        self.faults = self.faults.replaced(plan)
        self.judge.faults = self.faults

    def watch(self, connections: Callable[[], int]) -> None:
        """Tells the statistics how to count open connections."""
        self._connections = connections

    def now(self) -> float:
        """The server's time, having settled every batch that has ended by then."""
        now = self.clock.now()
        for batch in self.shelf.due(now):
            self.judge.settle(batch)
            if not batch.fate.foreign:
                self.tally["billed_rows"] += counts(batch).succeeded
        return now

    def finish(self) -> None:
        """Turns the clock to where every batch that can end has ended."""
        now = self.now()
        last = max((batch.ends_at for batch in self.shelf if math.isfinite(batch.ends_at)), default=now)
        self.clock.advance(max(0.0, last - now))

    def begin(self, endpoint: str) -> Hits:
        """Counts a call and says what goes wrong with it."""
        self.calls[endpoint] += 1
        hits = self.faults.begin(endpoint)
        self.injected.update(hits.names())
        return hits

    def remember(self, heard: Heard) -> None:
        """Keeps a finished call in the log and tells the listener."""
        self.heard.append(heard)
        if self._listener is not None:
            self._listener(heard)

    def next_request_id(self) -> str:
        """The id of the HTTP request at hand."""
        self._requests += 1
        return wire.request_id(self.settings.seed, self._requests)

    def account(self, key: str, workspace: str | None) -> Account:
        """Whose key this is: as configured, else every key is alone in a workspace of its own."""
        if self.settings.keys is None:
            name = workspace or f"wrkspc_01{digest('workspace', key):016x}"
            return Account(_ORGANIZATION, name)
        if key not in self.settings.keys:
            raise wire.ApiError(401)
        organization, _, own = self.settings.keys[key].rpartition("/")
        return Account(organization or _ORGANIZATION, workspace or own)

    def create(self, account: Account, context: Context, requests: list[Request], hits: Hits) -> Batch:
        """Accepts a batch: from here on it is paid for."""
        now = self.now()
        if (rule := hits.get("queue_limit")) is not None:
            self._check_queue(len(requests), rule.limit or 200_000)
        if (rule := hits.get("lookalike")) is not None:
            for _ in range(rule.rows or 1):
                self.plant(account, context, len(requests))
        late = hits.get("late")
        batch = self._batch(account, context, requests, now + (late.seconds or 0.0) if late else now)
        self._doom(batch, hits)
        self.shelf.put(batch)
        self.tally["batches"] += 1
        self.tally["requests"] += len(requests)
        return batch

    def plant(self, account: Account, context: Context, count: int) -> Batch:
        """Puts a batch there that somebody else made in the same workspace."""
        params = msgspec.Raw(
            b'{"model":"claude-haiku-4-5","max_tokens":16,"messages":[{"role":"user","content":"someone else"}]}'
        )
        requests = [Request(custom_id=f"other-{index}", params=params) for index in range(count)]
        batch = self._batch(account, context, requests, self.clock.now())
        batch.fate.foreign = True
        self.shelf.put(batch)
        return batch

    def _batch(self, account: Account, context: Context, requests: list[Request], created_at: float) -> Batch:
        self._serial += 1
        seed = self.settings.seed
        spread = (Draw(digest(seed, "duration", self._serial)).share() * 2 - 1) * self.settings.jitter
        return Batch(
            identity=wire.batch_id(seed, self._serial),
            serial=self._serial,
            account=account,
            context=context,
            requests=requests,
            created_at=created_at,
            duration=self.settings.duration * (1 + spread),
            fate=Fate(),
        )

    @staticmethod
    def _doom(batch: Batch, hits: Hits) -> None:
        if (rule := hits.get("unlisted")) is not None:
            batch.fate.unlisted_until = batch.created_at + _seconds(rule.seconds)
        if (rule := hits.get("hidden")) is not None:
            batch.fate.hidden_until = batch.created_at + _seconds(rule.seconds)
        if (rule := hits.get("duration")) is not None:
            batch.duration = rule.seconds or 0.0
        batch.fate.never_ends = "never_ends" in hits

    def _check_queue(self, count: int, limit: int) -> None:
        if self.shelf.processing() + count > limit:
            raise wire.ApiError(429, f"Too many requests in the processing queue: the limit is {limit}.")

    def find(self, identity: str, account: Account) -> Batch:
        """The batch, or the API's 404."""
        now = self.now()
        if identity == EXAMPLE:
            return example(account, now)
        batch = self.shelf.find(identity, account, now)
        if batch is None:
            raise wire.not_found(identity)
        return batch

    def cancel(self, batch: Batch, hits: Hits) -> None:
        """Starts canceling."""
        batch.cancel(self.now(), self.settings.cancel_delay, spare="spare" in hits)

    def delete(self, batch: Batch) -> None:
        """Deletes an ended batch."""
        if batch.status(self.now()) is not Status.ENDED:
            text = "In progress batches cannot be deleted. Consider canceling the batch instead."
            raise wire.ApiError(400, text)
        self.shelf.drop(batch)

    def readable(self, batch: Batch) -> None:
        """Raises the API's 404 unless the batch has results to download."""
        now = self.now()
        if batch.status(now) is not Status.ENDED or batch.archived(now):
            raise wire.ApiError(404, f"Message Batch {batch.id} has no available results.")

    def shown(self, batch: Batch, base: str, hits: Hits) -> dict[str, Any]:
        """The batch as the API shows it, bent by the faults of this call."""
        now = self.now()
        offset = self.faults.plan.clock_offset
        status = batch.status(now)
        ended, archived = status is Status.ENDED, batch.archived(now)
        shape: dict[str, Any] = {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": status.value,
            "request_counts": msgspec.to_builtins(self._counts(batch, now, hits)),
            "created_at": rfc3339(batch.created_at + offset),
            "expires_at": rfc3339(batch.expires_at + offset),
            "ended_at": rfc3339(batch.ends_at + offset) if ended else None,
            "cancel_initiated_at": None if batch.cancel_at is None else rfc3339(batch.cancel_at + offset),
            "archived_at": rfc3339(batch.archived_at + offset) if ended and archived else None,
            "results_url": _results_url(batch, base, hits) if ended and not archived else None,
        }
        if (rule := hits.get("unknown_status")) is not None:
            shape["processing_status"] = rule.value or "validating"
        if "omit_nulls" in hits:
            shape = {key: value for key, value in shape.items() if value is not None}
        return shape

    @staticmethod
    def _counts(batch: Batch, now: float, hits: Hits) -> Counts:
        total, ended = len(batch.requests), batch.status(now) is Status.ENDED
        if not ended and "lying_counts" in hits:
            return Counts(processing=0, succeeded=total // 2, errored=total, canceled=1)
        if not ended and "gradual_counts" in hits:
            done = min(total - 1, int(total * batch.done_share(now)))
            return Counts(processing=total - done, succeeded=done)
        return counts(batch)

    def stats(self) -> dict[str, Any]:
        """What has happened so far."""
        now = self.now()
        mine = [batch for batch in self.shelf if not batch.fate.foreign]
        return {
            "now": rfc3339(now),
            "creates": self.calls["create"],
            "batches_created": self.tally["batches"],
            "requests_accepted": self.tally["requests"],
            "rows_billed": self.tally["billed_rows"],
            "polls": self.calls["retrieve"],
            "lists": self.calls["list"],
            "downloads": self.calls["results"],
            "cancels": self.calls["cancel"],
            "deletes": self.calls["delete"],
            "messages": self.calls["messages"],
            "connections": self._connections(),
            "calls": dict(self.calls),
            "faults": dict(self.injected),
            "batches": [_summary(batch, now) for batch in mine],
        }


def _summary(batch: Batch, now: float) -> dict[str, Any]:
    return {
        "id": batch.id,
        "workspace": batch.account.workspace,
        "version": batch.context.version,
        "status": batch.status(now).value,
        "requests": len(batch.requests),
        "first_custom_id": batch.requests[0].custom_id,
        "created_at": rfc3339(batch.created_at),
        "counts": msgspec.to_builtins(counts(batch)),
    }


def _results_url(batch: Batch, base: str, hits: Hits) -> str | None:
    path = f"/v1/messages/batches/{batch.id}/results"
    rule = hits.get("results_url")
    match rule.value if rule else None:
        case None:
            return base + path
        case "relative":
            return path
        case "absent":
            return None
        case elsewhere:
            return elsewhere.rstrip("/") + path


def _seconds(value: float | None) -> float:
    return math.inf if value is None else value
