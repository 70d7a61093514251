"""The life of a run.

    planning   Resumed -> running | draining, CancelWished -> draining, Broke -> failed
    running    Read -> running | draining, Paused -> paused, Resumed -> running, CancelWished -> draining, Broke -> failed
    draining   Read -> draining, Paused -> paused, Resumed -> draining, CancelWished -> draining, Settled -> done | canceled, Reawakened -> draining, Broke -> failed
    paused     Read -> paused, Resumed -> running | draining, CancelWished -> draining, Broke -> failed
    failed     Read -> failed, Resumed -> running | draining, CancelWished -> draining, Broke -> failed
    done       Reawakened -> draining, Replayed -> draining, Surfaced -> draining
    canceled   Reawakened -> draining, Replayed -> draining, Surfaced -> draining

`read_all` remembers whether a paused run goes back to running or to draining. A wish to cancel is kept in `cancel` until
every batch is at rest. A pack that was being read while the run was paused, canceled or broken is still committed: its
rows wait, and nobody reads them again. `Reawakened` happens to a draining run where `Surfaced` woke it a moment before.
"""

from typing import TypeAlias

import msgspec

from batchflow.model.errors import IllegalTransition
from batchflow.model.record import Position
from batchflow.model.state import Run, RunState
from batchflow.model.words import Word

S = RunState


class Event(msgspec.Struct, frozen=True):
    """What happened to a run."""


class Read(Event, frozen=True):
    """A pack was committed: the source has been read from `since`, where the run stood, up to `position`."""

    position: Position
    ended: bool
    since: Position = Position()


class Paused(Event, frozen=True):
    """Something must be mended before more money is spent, or an operator wants it to wait."""

    why: str
    word: Word | None = None
    by_operator: bool = False


class Resumed(Event, frozen=True):
    """A person, or a new `run`, goes on with it."""


class CancelWished(Event, frozen=True):
    """An operator wants it to stop, keeping what is paid for."""


class Settled(Event, frozen=True):
    """Nothing is left to do."""

    at: float


class Reawakened(Event, frozen=True):
    """Dead letters were asked for again."""


class Replayed(Event, frozen=True):
    """What one of its sinks was given is brought to it again."""


class Surfaced(Event, frozen=True):
    """A batch of it turned up after its end: what was answered is paid for, and is brought home."""


class Broke(Event, frozen=True):
    """It cannot go on."""

    why: str


BY_OPERATOR = Paused("paused by an operator", by_operator=True)

AnyEvent: TypeAlias = Read | Paused | Resumed | CancelWished | Settled | Reawakened | Replayed | Surfaced | Broke

LIVE = frozenset({S.RUNNING, S.DRAINING})
OPEN = frozenset({S.PLANNING, S.RUNNING, S.DRAINING, S.PAUSED, S.FAILED})
"""States of a run that `run` picks up again."""


def standing(run: Run) -> str:
    """Say where a run stands in one word for people: a run that drains because it is canceled is being canceled."""
    return "canceling" if run.cancel and run.state in LIVE else run.state


TABLE: dict[RunState, dict[type[Event], frozenset[RunState]]] = {
    S.PLANNING: {
        Resumed: frozenset({S.RUNNING, S.DRAINING}),
        CancelWished: frozenset({S.DRAINING}),
        Broke: frozenset({S.FAILED}),
    },
    S.RUNNING: {
        Read: frozenset({S.RUNNING, S.DRAINING}),
        Paused: frozenset({S.PAUSED}),
        Resumed: frozenset({S.RUNNING}),
        CancelWished: frozenset({S.DRAINING}),
        Broke: frozenset({S.FAILED}),
    },
    S.DRAINING: {
        Read: frozenset({S.DRAINING}),
        Paused: frozenset({S.PAUSED}),
        Resumed: frozenset({S.DRAINING}),
        CancelWished: frozenset({S.DRAINING}),
        Settled: frozenset({S.DONE, S.CANCELED}),
        Reawakened: frozenset({S.DRAINING}),
        Broke: frozenset({S.FAILED}),
    },
    S.PAUSED: {
        Read: frozenset({S.PAUSED}),
        Resumed: frozenset({S.RUNNING, S.DRAINING}),
        CancelWished: frozenset({S.DRAINING}),
        Broke: frozenset({S.FAILED}),
    },
    S.FAILED: {
        Read: frozenset({S.FAILED}),
        Resumed: frozenset({S.RUNNING, S.DRAINING}),
        CancelWished: frozenset({S.DRAINING}),
        Broke: frozenset({S.FAILED}),
    },
    S.DONE: {
        Reawakened: frozenset({S.DRAINING}),
        Replayed: frozenset({S.DRAINING}),
        Surfaced: frozenset({S.DRAINING}),
    },
    S.CANCELED: {
        Reawakened: frozenset({S.DRAINING}),
        Replayed: frozenset({S.DRAINING}),
        Surfaced: frozenset({S.DRAINING}),
    },
}


def step(run: Run, event: AnyEvent) -> Run:
    """Take a run along one arrow, or refuse with `IllegalTransition`.

    Reading is compare-and-swap on the place too: two readers of one run would pay for every record twice.
    """
    if type(event) not in TABLE[run.state]:
        raise IllegalTransition(f"run {run.id} is {run.state}; {type(event).__name__} cannot happen to it there")
    match event:
        case Read():
            return _read(run, event)
        case Paused():
            return _next(run, state=S.PAUSED, why=event.why, word=event.word, by_operator=event.by_operator)
        case Resumed():
            state = S.DRAINING if run.read_all else S.RUNNING
            return _next(run, state=state, why="", word=None, by_operator=False)
        case CancelWished():
            return _next(
                run,
                cancel=True,
                state=S.DRAINING,
                read_all=True,
                why="an operator canceled it",
                word=None,
                by_operator=False,
            )
        case Settled():
            return _next(run, state=S.CANCELED if run.cancel else S.DONE, ended_at=event.at)
        case Reawakened():
            return _next(run, state=S.DRAINING, ended_at=None, cancel=False, why="")
        case Replayed() | Surfaced():  # a canceled run stays one
            return _next(run, state=S.DRAINING, ended_at=None)
        case Broke():
            return _next(run, state=S.FAILED, why=event.why)


def _read(run: Run, event: Read) -> Run:
    if _encoded(event.since) != _encoded(run.position):
        raise IllegalTransition(
            f"run {run.id} was read up to {run.position}, not {event.since}: somebody else reads it too, and what was read "
            "here is not committed"
        )
    ended = event.ended or run.read_all
    state = S.DRAINING if ended and run.state is S.RUNNING else run.state
    return _next(run, state=state, position=event.position, read_all=ended)


def _encoded(position: Position) -> bytes:
    """Make places comparable: one that came back from a store has lists where a source may have given tuples."""
    return msgspec.json.encode(position, order="sorted")


def _next(run: Run, **changes: object) -> Run:
    return msgspec.structs.replace(run, version=run.version + 1, **changes)
