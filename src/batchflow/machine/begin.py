"""What a second `run` of the same job means: going on, nothing to do, or paying again."""

from typing import Literal, TypeAlias

import msgspec

from batchflow.machine.run import OPEN
from batchflow.model.record import Position
from batchflow.model.state import Run


class Fresh(msgspec.Struct, frozen=True):
    """Begin a new run."""


class PickUp(msgspec.Struct, frozen=True):
    """Go on with this one."""

    run: Run


class AlreadyDone(msgspec.Struct, frozen=True):
    """The run at hand delivered it already."""

    run: Run
    unsure: bool
    """The source cannot tell whether it changed."""


class LeftPaused(msgspec.Struct, frozen=True):
    """An operator paused it, so it waits for `resume`: a `run` may come from a timetable that knows nothing of it."""

    run: Run


class Refuse(msgspec.Struct, frozen=True):
    """It is not clear what is wanted."""

    run: Run
    what: Literal["job", "source"]


Verdict: TypeAlias = Fresh | PickUp | AlreadyDone | LeftPaused | Refuse


def begin(last: Run | None, *, config: str, fingerprint: str | None, new: bool, repeat: bool) -> Verdict:
    """Decide from the job's last run what a `run` typed now is to do."""
    if last is None:
        return Fresh()
    if last.state in OPEN:
        return _unfinished(last, config=config, fingerprint=fingerprint, new=new)
    if new or repeat or last.config != config or last.fingerprint != fingerprint:
        return Fresh()
    return AlreadyDone(last, unsure=fingerprint is None)


def _unfinished(last: Run, *, config: str, fingerprint: str | None, new: bool) -> Verdict:
    if new:
        return Fresh()
    if last.by_operator:
        return LeftPaused(last)
    return go_on(last, config=config, fingerprint=fingerprint)


def go_on(last: Run, *, config: str, fingerprint: str | None) -> PickUp | Refuse:
    """Decide whether an unfinished run can go on with the job and the source as they are now."""
    if last.position == Position():
        return PickUp(last)  # nothing was taken from the source yet, so nothing can be mixed up
    if last.config != config:
        return Refuse(last, "job")
    if last.fingerprint != fingerprint and not last.read_all:
        return Refuse(last, "source")
    return PickUp(last)
