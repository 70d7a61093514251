"""The life of a run.

running --SourceEnded--> draining --Settled--> done
  |  ^                      |  ^
Paused Resumed            Paused Resumed
  v  |                      v  |
  paused  (read_all remembers which of the two it goes back to)

running, draining, paused --CancelWished--> same, with `cancel` set, until every batch is at rest: canceled
done, canceled --Reawakened--> draining   (dead letters asked again)
any --Broke--> failed                      (a plugin or a source that cannot go on; resumable)
"""

from typing import TypeAlias

import msgspec

from batchflow.model.errors import IllegalTransition
from batchflow.model.record import Position
from batchflow.model.state import Run, RunState
from batchflow.model.words import Word

S = RunState


class Read(msgspec.Struct, frozen=True):
    """A pack was committed: the source has been read up to here."""

    position: Position
    ended: bool


class Paused(msgspec.Struct, frozen=True):
    """Something must be mended before more money is spent."""

    why: str
    word: Word | None = None


class Resumed(msgspec.Struct, frozen=True):
    """A person, or a new `run`, goes on with it."""


class CancelWished(msgspec.Struct, frozen=True):
    """An operator wants it to stop, keeping what is paid for."""


class Settled(msgspec.Struct, frozen=True):
    """Nothing is left to do."""

    at: float


class Reawakened(msgspec.Struct, frozen=True):
    """Dead letters were asked for again."""


class Broke(msgspec.Struct, frozen=True):
    """It cannot go on."""

    why: str


Event: TypeAlias = Read | Paused | Resumed | CancelWished | Settled | Reawakened | Broke

LIVE = frozenset({S.RUNNING, S.DRAINING})
OPEN = frozenset({S.PLANNING, S.RUNNING, S.DRAINING, S.PAUSED, S.FAILED})
"""States of a run that `run` picks up again."""


def step(run: Run, event: Event) -> Run:
    """Take a run along one arrow, or refuse with `IllegalTransition`."""
    match event:
        case Read() if run.state is S.RUNNING:
            state = S.DRAINING if event.ended else S.RUNNING
            return _next(run, state=state, position=event.position, read_all=event.ended)
        case Paused() if run.state in LIVE:
            return _next(run, state=S.PAUSED, why=event.why, word=event.word)
        case Resumed() if run.state in OPEN:
            return _next(run, state=S.DRAINING if run.read_all else S.RUNNING, why="", word=None)
        case CancelWished() if run.state in OPEN:
            return _next(run, cancel=True, state=S.DRAINING, read_all=True, why="canceled")
        case Settled() if run.state is S.DRAINING:
            return _next(run, state=S.CANCELED if run.cancel else S.DONE, ended_at=event.at)
        case Reawakened() if run.state in {S.DONE, S.CANCELED}:
            return _next(run, state=S.DRAINING, ended_at=None, cancel=False, why="")
        case Broke() if run.state in OPEN:
            return _next(run, state=S.FAILED, why=event.why)
        case _:
            raise IllegalTransition(f"run {run.id} is {run.state}; {type(event).__name__} cannot happen to it there")


def _next(run: Run, **changes: object) -> Run:
    return msgspec.structs.replace(run, version=run.version + 1, **changes)
