"""Mirrors where every batch stands into Redis, for services that look there and not into a state folder.

A hook has no line in a job file, so the environment says whether and where: `BATCHFLOW_REDIS_MIRROR`. Without it nothing
is done. With it, `batch:{id}` and `run:{id}` are hashes that follow the events after each commit, and expire.

A mirror may be behind, and must never be in the way. What it is told goes into an outbox; a thread of its own carries
that to Redis. What Redis does not take is tried again; an outbox that is full forgets the oldest, and says how many.
"""

import logging
import os
import weakref
from collections import deque
from collections.abc import Mapping
from threading import Condition, Thread

from batchflow.plugin import Event, hookimpl

log = logging.getLogger(__name__)

WHERE = "BATCHFLOW_REDIS_MIRROR"
PREFIX = "BATCHFLOW_REDIS_MIRROR_PREFIX"
EXPIRE = "BATCHFLOW_REDIS_MIRROR_EXPIRE"
WEEK = 7 * 24 * 3600
ROOM = 10_000
"""Events that may wait while Redis is away."""
AT_ONCE = 500
FAREWELL = 3.0
"""Seconds that a process may take at its end for what is still in the outbox."""
AGAIN = 1.0

STATUS = {
    "batch.drafted": "drafted", "batch.put_off": "drafted", "batch.submitted": "running", "batch.in_doubt": "in_doubt",
    "batch.disowned": "in_doubt", "batch.canceling": "canceling", "batch.ended": "ended", "batch.collected": "collected",
    "batch.delivered": "delivered", "batch.held": "held", "batch.archived": "failed", "batch.canceled": "canceled",
    "batch.split": "split",
    "run.started": "running", "run.resumed": "running", "run.retried": "running", "run.canceling": "canceling",
    "run.paused": "paused", "run.failed": "failed", "run.done": "done",
}  # fmt: skip
"""What an event says of its subject. `batch.resolved.STATE` and `batch.ruled.STATE` say it themselves."""


class Outbox:
    """What is to be told, and the thread that tells it. It is begun by the first event, and ended with a farewell."""

    def __init__(self, settings: Mapping[str, str], room: int = ROOM) -> None:
        self._settings = settings
        self._waiting = deque[tuple[Event, str]](maxlen=room)
        self._changed = Condition()
        self._thread: Thread | None = None
        self._ended = False
        self._lost = 0

    def put(self, event: Event, job: str) -> None:
        """Take an event, whatever Redis does meanwhile."""
        with self._changed:
            self._lost += len(self._waiting) == self._waiting.maxlen
            self._waiting.append((event, job))
            if self._thread is None:
                self._thread = Thread(target=self._carry, name="batchflow-redis-mirror", daemon=True)
                self._thread.start()
            self._changed.notify()

    def end(self) -> None:
        """Let what waits be told, for as long as a farewell may take."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(FAREWELL)

    def _carry(self) -> None:
        try:
            teller = Teller(self._settings)
        except Exception as error:  # noqa: BLE001 - a setting that cannot be read, or no client: told once, and nothing more
            log.error("batchflow-redis mirrors nothing: %s", error)  # noqa: TRY400 - its words are enough
            return
        failing = False
        while some := self._next():
            try:
                teller.tell(some)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the mirror's own
                self._put_back(some)
                if not failing:
                    log.warning("batchflow-redis cannot mirror to %s, and goes on trying: %s", teller.name, error)
                failing = True
                if self._rested():
                    return
            else:
                failing = False
                self._own_up()

    def _next(self) -> list[tuple[Event, str]]:
        """Wait for events; none are left at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            return [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]

    def _put_back(self, some: list[tuple[Event, str]]) -> None:
        with self._changed:
            assert self._waiting.maxlen is not None
            room = self._waiting.maxlen - len(self._waiting)
            self._lost += max(0, len(some) - room)
            self._waiting.extendleft(reversed(some[len(some) - room :] if room < len(some) else some))

    def _rested(self) -> bool:
        """Wait before the next try; True where there will be none."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, AGAIN)

    def _own_up(self) -> None:
        with self._changed:
            lost, self._lost = self._lost, 0
        if lost:
            log.warning("batchflow-redis forgot %d events while Redis was away: some statuses may be old", lost)


class Teller:
    """Writes events into hashes, over a client of its own."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        from batchflow_redis.connection import (
            plain_client,
            server,
        )  # a command that tells of nothing must not pay for it

        try:
            found = server(settings[WHERE])
            self._expire = round(float(settings.get(EXPIRE) or WEEK) * 1000)
        except ValueError as error:
            raise ValueError(f"{WHERE} or {EXPIRE}: {error}") from None
        self.name = found.name
        self._prefix = settings.get(PREFIX, "")
        self._client = plain_client(found)

    def tell(self, some: list[tuple[Event, str]]) -> None:
        """Write some, all or none; written twice, they are no different."""
        line = self._client.pipeline(True)
        for event, job in some:
            if (name := _name(event)) is not None:
                pairs = [word for pair in _told(event, job).items() for word in pair]
                line.execute_command("HSET", self._prefix + name, *pairs)
                line.execute_command("PEXPIRE", self._prefix + name, self._expire)
        line.execute()


class Mirror:
    """The plugin: hands each event on, and waits for nobody."""

    def __init__(self, settings: Mapping[str, str] = os.environ) -> None:
        self._is_wanted = bool(settings.get(WHERE))
        self._outbox = Outbox(settings)
        weakref.finalize(self, self._outbox.end)  # when its app is gone, or the process ends

    @hookimpl
    def on_event(self, event: Event, job: str) -> None:
        """Hand it on."""
        if self._is_wanted:
            self._outbox.put(event, job)


def _name(event: Event) -> str | None:
    """Name the hash that an event is about; other events say nothing about a batch or a run."""
    thing = event.kind.partition(".")[0]
    if thing == "run":
        return f"run:{event.run}"
    return f"batch:{event.subject}" if thing == "batch" and event.subject else None


def _told(event: Event, job: str) -> dict[str, str | int | float]:
    """Say in fields what an event says. Later events add to it."""
    thing, _, what = event.kind.partition(".")
    told: dict[str, str | int | float] = {
        "run": event.run,
        "job": job,
        "event": event.kind,
        "text": event.text,
        "at": event.at,
    }
    told |= {name: value for name, value in event.data.items() if type(value) in {str, int, float}}
    told[f"{what.partition('.')[0]}_at"] = event.at
    status = STATUS.get(event.kind) or (what.partition(".")[2] if thing == "batch" else "")
    if event.data.get("canceled"):
        status = "canceled"
    return told | ({"status": status} if status else {})
