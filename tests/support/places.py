"""Gives a name to every step that a process takes towards the outside, and kills or stops it at the one it was told to.

Nothing is listed by hand: whatever commits, publishes an object, writes a byte of a file or a row of a table passes here,
and so becomes a place to die at. A new commit in the engine is a new place by itself. A place is named by what it does
and how often that was done before, for the n-th commit of one run is not the n-th of another.
"""

import os
import random
import signal
import threading
from collections import Counter
from pathlib import Path

from disk import Disk

from batchflow import app
from batchflow.builtin.anthropic import calls
from batchflow.builtin.anthropic.body import Body
from batchflow.builtin.sinks import output, redo
from batchflow.builtin.sinks.table import TableSink
from batchflow.builtin.stores import drafts
from batchflow.builtin.stores.sqlite.state import SqliteState
from batchflow.engine.clock import SystemClock
from batchflow.model.change import Note, Put
from batchflow.model.state import Batch, Delivery, Run, Setback, Wish
from batchflow.testing import ScaledClock


class Places:
    """Counts what a process does, writes it into a trail that outlives it, and ends it at one place."""

    def __init__(self, trail, end, blow=signal.SIGKILL):
        self._trail = os.open(trail, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._end = end
        self._blow = blow
        self._times = Counter()
        self._lock = threading.Lock()

    def reach(self, what):
        with self._lock:
            self._times[what] += 1
            name = f"{what} #{self._times[what]}"
        os.write(self._trail, f"{name}\n".encode())
        if name == self._end:
            os.kill(os.getpid(), self._blow)


class HastyClock(SystemClock):
    """The real clock, with a minute in two seconds: leases lapse sooner, for every process alike that began with `began`."""

    def __init__(self, speed, began):
        self._speed = speed
        self._began = began

    def now(self):
        return self._began + (super().now() - self._began) * self._speed

    def boot(self):
        return super().boot() * self._speed

    async def sleep(self, seconds):
        await super().sleep(max(0.0, seconds) / self._speed)


def begin(spec):
    """Puts places into this process, and a clock that runs faster: what a fork does first that is to die somewhere."""
    random.seed(spec["seed"])
    places = Places(spec["trail"], spec["end"], signal.Signals[spec["blow"]])
    watch(places, clock_of(spec))
    if spec["disk"]:
        watch_disk(places, Disk(spec["folder"], spec["disk"]))


def clock_of(spec):
    """Makes a clock whose leases are real, or one with hasty leases too: the latter agrees with those of others."""
    if spec["began"] is None:
        return ScaledClock(speed=spec["speed"])
    return HastyClock(spec["speed"], spec["began"])


def watch(places, clock):
    """Puts the places into this process, and gives it a clock that runs faster. There is no way back: it is a fork."""
    app.SystemClock = lambda: clock
    if isinstance(clock, HastyClock):
        _judge_leases_by(clock)
    _around(SqliteState, "commit", places, lambda change: f"commit ({_told(change)})")
    taken = set()
    _around(SqliteState, "lease", places, lambda name, **_: _first(f"lease of {name.partition('/')[0]}", taken))
    _around(SqliteState, "release", places, lambda name, **_: f"release of {name.partition('/')[0]}")
    _around_blocking(drafts.Draft, "publish", places, lambda draft, _rest: f"object {_kind(draft._name)}")
    _around_blocking(TableSink, "_commit", places, lambda _sink, _part: "commit of a table")
    _around(calls, "post", places, lambda _path, body, _patience: "create" if isinstance(body, Body) else None)
    _around_pieces(places)
    _halve_rows(places)
    for module, name in ((drafts, "write_all"), (redo, "write_all"), (output, "write_all")):
        _halve_bytes(module, name, places)


def watch_disk(places, disk):
    """Has a disk kept of what is flushed, and makes each flush a place."""
    disk.begin()
    flush = os.fsync

    def flushed(file):
        path = Path(f"/proc/self/fd/{file}").readlink()
        what = "a folder" if path.is_dir() else _file(file)
        places.reach(f"before flush of {what}")
        flush(file)
        disk.flushed(path)
        places.reach(f"after flush of {what}")

    os.fsync = flushed


def _judge_leases_by(clock):
    original = SqliteState.__init__

    def begin(self, path, **more):
        original(self, path, **more | {"now": clock.now})

    SqliteState.__init__ = begin


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


def _around_pieces(places):
    """Comes between what was handed to the socket and the look at the lease for the next piece."""
    original = Body._next

    async def piece(self, pieces):
        found = await original(self, pieces)
        if found:
            places.reach("before a piece of a create")
        return found

    Body._next = piece


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
