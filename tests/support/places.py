"""Gives a name to every step that a process takes towards the outside, and kills it at the one it was told to.

Nothing is listed by hand: whatever commits, publishes an object, writes a byte of a file or a row of a table passes here,
and so becomes a place to die at. A new commit in the engine is a new place by itself. A place is named by what it does
and how often that was done before, for the n-th commit of one run is not the n-th of another.
"""

import os
import signal
import threading
from collections import Counter
from pathlib import Path

from batchflow import app
from batchflow.builtin.sinks import output, redo
from batchflow.builtin.sinks.table import TableSink
from batchflow.builtin.stores import drafts
from batchflow.builtin.stores.sqlite.state import SqliteState
from batchflow.model.change import Note, Put
from batchflow.model.state import Batch, Delivery, Run, Setback, Wish
from batchflow.testing import ScaledClock


class Places:
    """Counts what a process does, writes it into a trail that outlives it, and ends it at one place."""

    def __init__(self, trail, end):
        self._trail = os.open(trail, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._end = end
        self._times = Counter()
        self._lock = threading.Lock()

    def reach(self, what):
        with self._lock:
            self._times[what] += 1
            name = f"{what} #{self._times[what]}"
        os.write(self._trail, f"{name}\n".encode())
        if name == self._end:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(places, *, speed):
    """Puts the places into this process, and makes its clock run faster. There is no way back: it is a fork."""
    app.SystemClock = lambda: ScaledClock(speed=speed)
    _around(SqliteState, "commit", places, lambda change: f"commit ({_told(change)})")
    taken = set()
    _around(SqliteState, "lease", places, lambda name, **_: _first(f"lease of {name.partition('/')[0]}", taken))
    _around(SqliteState, "release", places, lambda name, **_: f"release of {name.partition('/')[0]}")
    _around_blocking(drafts.Draft, "publish", places, lambda draft, _rest: f"object {_kind(draft._name)}")
    _around_blocking(TableSink, "_commit", places, lambda _sink, _part: "commit of a table")
    _halve_rows(places)
    for module, name in ((drafts, "_write_all"), (redo, "write_all"), (output, "write_all")):
        _halve_bytes(module, name, places)


def _around(owner, method, places, name):
    original = getattr(owner, method)

    async def call(self, *args, **more):
        what = name(*args, **more)
        if what is None:
            return await original(self, *args, **more)
        places.reach(f"before {what}")
        result = await original(self, *args, **more)
        places.reach(f"after {what}")
        return result

    setattr(owner, method, call)


def _around_blocking(owner, method, places, name):
    original = getattr(owner, method)

    def call(self, *args):
        what = name(self, *args)
        places.reach(f"before {what}")
        result = original(self, *args)
        places.reach(f"after {what}")
        return result

    setattr(owner, method, call)


def _halve_rows(places):
    original = TableSink._add

    def add(self, rows):
        original(self, rows[: len(rows) // 2])
        places.reach("amid the rows of a table")
        original(self, rows[len(rows) // 2 :])

    TableSink._add = add


def _halve_bytes(module, name, places):
    original = getattr(module, name)

    def write(file, data):
        what = _file(file)
        original(file, data[: len(data) // 2])
        places.reach(f"amid writing {what}")
        original(file, data[len(data) // 2 :])

    setattr(module, name, write)


def _first(what, before):
    """Names what is done for the first time; leases are renewed as often as time passes."""
    return None if what in before else before.add(what) or what


def _file(number):
    path = Path(f"/proc/self/fd/{number}").readlink()
    return "an object" if path.parent.name == drafts.UNFINISHED else path.name


def _kind(name):
    return name.rpartition("/")[2].partition("-")[0]


def _told(change):
    """Says what a change does, as far as that is the same in every run."""
    facts = {_one(step.entity) for step in change if isinstance(step, Put)}
    facts |= {type(step.fact).__name__.lower() for step in change if isinstance(step, Note)}
    return ", ".join(sorted(fact for fact in facts if fact != "event"))


def _one(entity):
    match entity:
        case Run() | Batch():
            return f"{type(entity).__name__.lower()} {entity.state}"
        case Delivery():
            return f"part for {entity.sink} {entity.state}"
        case Setback():
            return f"setback {entity.decision}{' packed' if entity.packed_in else ''}"
        case Wish():
            return f"wish {entity.verb}"
        case _:
            return type(entity).__name__.lower()
