"""The right to drive a run: taken before anything else, renewed while it lives, looked at before every piece of a POST."""

import os
from collections.abc import Callable
from pathlib import Path

from batchflow.model import errors
from batchflow.model.state import Lease
from batchflow.ports.clock import Clock
from batchflow.ports.state import StateStore

TTL = 60.0
RENEW = 15.0
SLEPT = "this process slept past its lease, and somebody else has driven the run meanwhile"


def birth(pid: int) -> str:
    """Tell two processes of one number apart: when this one began, in ticks since boot. Empty where nobody can tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_alive(pid: int, born: str = "") -> bool:
    """Tell whether a process of this machine exists. A container that is started again often has the number it had."""
    now = birth(pid)
    if born and now and born != now:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_dead(lease: Lease, host: str) -> bool:
    """Tell whether a lease's owner is a process of this machine that is gone. Of other machines nobody can tell."""
    return lease.host == host and not is_alive(lease.pid, lease.owner.rpartition("@")[2])


class LeaseLost(errors.Locked):
    """Somebody else drives this run by now, or may: this process slept too long."""


class DriverLease:
    """A lease, judged by the store's clock, and locally by the one clock that counts while a process sleeps.

    Its owner is `id`, and when the process was born.
    """

    def __init__(self, store: StateStore, clock: Clock, *, name: str, id: str, host: str, pid: int) -> None:
        self.name = name
        self.owner = f"{id}@{birth(pid)}"
        self._store = store
        self._clock = clock
        self._host = host
        self._pid = pid
        self._safe_until = float("-inf")
        self._since: float | None = None

    async def take_over(self) -> None:
        """Take the lease, also from a process of this machine that is dead: nobody need wait for its lease to lapse."""
        held = await self._store.holder(self.name)
        if held is not None and is_dead(held, self._host):
            await self._store.release(self.name, owner=held.owner)
        await self.take()

    async def take(self) -> None:
        """Take the lease or renew it; `Locked` names who has it."""
        asked = self._clock.boot()
        try:
            granted = await self._store.lease(
                self.name, owner=self.owner, host=self._host, pid=self._pid, ttl=TTL, since=self._since
            )
        except errors.Locked as error:
            if self._since is None:
                raise
            # What this process remembers of the run is not true any more, whether or not the other still drives it.
            raise LeaseLost(SLEPT, hint="run it again") from error
        self._since = granted.since
        # Counted from before the call: the store may have granted it at any moment since.
        self._safe_until = asked + TTL

    async def keep(self, lost: Callable[[errors.Locked], None]) -> None:
        """Renew until it is lost, and tell."""
        await self._clock.sleep(RENEW)
        while await self.renew(lost):
            await self._clock.sleep(RENEW)

    async def renew(self, lost: Callable[[errors.Locked], None]) -> bool:
        """Renew once; tell when somebody else has it, or may have. A store that is busy for a moment changes nothing."""
        try:
            await self.take()
        except errors.Locked as error:
            lost(error)
            return False
        except errors.StoreError as error:
            if self._clock.boot() > self._safe_until:
                lost(LeaseLost(f"the lease could not be renewed: {error.message}", hint=error.hint or "run it again"))
                return False
        return True

    def check(self, deadline: float) -> None:
        """Raise when the lease or the deadline (of the boot clock) has passed."""
        now = self._clock.boot()
        if now > self._safe_until:
            raise LeaseLost("this process slept past its lease, so it must not go on sending", hint="run it again")
        if now > deadline:
            raise TimeoutError("the call's deadline has passed")

    async def give_back(self) -> None:
        """Let others drive at once."""
        await self._store.release(self.name, owner=self.owner)
