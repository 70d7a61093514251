"""Writes parts into a sink like the engine would, and dies where it is told to. Run by test_kill.

usage: killable.py KIND TARGET STATE PARTS HOW WHERE
"""

import asyncio
import json
import os
import resource
import signal
import sys
from pathlib import Path

from batchflow.builtin.sinks.csv import csv
from batchflow.builtin.sinks.jsonl import jsonl
from batchflow.builtin.sinks.sqlite import sqlite
from batchflow.model.result import Result, Usage
from batchflow.model.words import Word
from batchflow.ports.sink import Part, SinkContext

ROWS = 150


def sink_of(kind, target):
    if kind == "sqlite":
        return sqlite(path=Path(target), table="answers", fields={"id": "key", "text": "text"}, mode="insert")
    factory = {"jsonl": jsonl, "csv": csv}[kind]
    return factory(path=Path(target), if_exists="append", fields={"id": "key", "text": "text"})


def row(n):
    text = f"answer {n}\n" + "é\u2028" * (n % 50)
    return Result(
        key=f"k{n}", word=Word.OK, attempt=1, batch="b", row=n, origin="", carried={}, text=text, usage=Usage()
    )


async def rows(part, countdown, *, backwards):
    numbers = list(range(part * ROWS, (part + 1) * ROWS))
    if backwards:
        numbers.reverse()
    for start in range(0, ROWS, 20):
        yield [row(n) for n in numbers[start : start + 20]]
        countdown("rows")


def countdown_of(how, where):
    left = where

    def countdown(what):
        nonlocal left
        left -= what == how
        if what == how and left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return countdown


def die_at_byte(where):
    # The kernel kills a process that writes beyond this size, having written up to it: torn at exactly that byte.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (where, where))


def kept_in(store):
    return json.loads(store.read_text()) if store.exists() else {"done": 0, "receipt": None}


async def main(kind, target, state, parts, how, where):
    store = Path(state)
    kept = kept_in(store)
    countdown = countdown_of(how, int(where))
    backwards = int(where) % 2 == 1  # a redelivery may come in another order
    if how == "bytes":
        die_at_byte(int(where))
    sink = sink_of(kind, target)
    fresh = kept["receipt"] is None
    await sink.open(SinkContext(run="r", job="j", sink="s", fresh=fresh), kept["receipt"])
    for number in range(kept["done"], int(parts)):
        receipt = await sink.write(Part(name=f"part {number}", rows=rows(number, countdown, backwards=backwards)))
        countdown("before commit")
        store.with_suffix(".new").write_text(json.dumps({"done": number + 1, "receipt": receipt}))
        store.with_suffix(".new").replace(store)
        countdown("after commit")
        if hasattr(sink, "committed"):
            await sink.committed(receipt)
    await sink.close()


asyncio.run(main(*sys.argv[1:]))
