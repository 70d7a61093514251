"""Makes processes that run a job and die where they are told to. It has imported everything, so that a fork is ready at once.

It has no threads of its own, and it reads one JSON command a line: `start` forks a process that waits, `go` lets it begin,
`wait` tells how it ended. Run by `Forge` in crashes.py.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import anthropic
import bench
import httpx2
import msgspec

from batchflow import Batchflow, Job, To
from batchflow.builtin.anthropic.provider import anthropic as provider
from batchflow.builtin.retry import standard
from batchflow.builtin.sinks.jsonl import jsonl
from batchflow.builtin.sinks.sqlite import sqlite
from batchflow.builtin.stores.sqlite import sqlite_state
from batchflow.model.units import Secret
from batchflow.testing import ScaledClock

IMPORTED = (aiohttp, anthropic, httpx2)


class Dying:
    """A state store at whose n-th commit the process dies: before it is made, or when it has been made."""

    def __init__(self, store, *, how, n):
        self._store = store
        self._how = how
        self._left = n

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def commit(self, change):
        self._left -= 1
        last = self._left == 0  # asked now: another commit may begin while this one is under way
        if last and self._how == "before":
            die()
        try:
            await self._store.commit(change)
        finally:
            if last and self._how == "after":
                die()


class DyingSink:
    """A sink in the middle of whose n-th chunk the process dies."""

    def __init__(self, sink, countdown):
        self._sink = sink
        self._countdown = countdown
        self.promise = sink.promise

    def __getattr__(self, name):
        return getattr(self._sink, name)

    async def open(self, context, last):
        await self._sink.open(context, last)

    async def close(self):
        await self._sink.close()

    async def write(self, part):
        return await self._sink.write(msgspec.structs.replace(part, rows=self._counted(part.rows)))

    async def _counted(self, rows):
        async for chunk in rows:
            half = len(chunk) // 2
            yield chunk[:half]
            self._countdown()
            yield chunk[half:]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def countdown_of(n):
    left = n

    def countdown():
        nonlocal left
        left -= 1
        if left == 0:
            die()

    return countdown


def job_of(spec, countdown):
    folder = Path(spec["folder"])
    outputs = {
        "file": (jsonl(path=folder / "out.jsonl"), "ok"),
        "table": (sqlite(path=folder / "out.db", table="answers"), "ok"),
        "dead": (jsonl(path=folder / "dead.jsonl"), "dead"),
    }
    rows = bench.records(spec["rows"])
    return Job(
        name="job",
        source=lambda: iter(rows),
        request=bench.ask,
        sinks=[To(sink=DyingSink(sink, countdown), on=on, name=name) for name, (sink, on) in outputs.items()],
        rules=bench.rules(**spec["rules"]),
    )


async def run(spec):
    how, n = spec.get("kill", ("never", 0))
    state = Path(spec["folder"]) / "state"
    store = Dying(sqlite_state(path=state / "state.db"), how=how, n=n)
    countdown = countdown_of(n if how == "sink" else 0)
    made = {"api_key": Secret(spec["key"]), "base_url": spec["url"]}
    clock = ScaledClock(speed=bench.SPEED)
    async with Batchflow(state, provider=provider(**made), store=store, retry=standard(), clock=clock) as flow:
        report = await flow.run(job_of(spec, countdown))
    told = {"state": report.run.state, "why": report.run.why, "books": dict(report.books), "run": report.run.id}
    (Path(spec["folder"]) / "report.json").write_text(json.dumps(told))


def child(spec, gate):
    log = os.open(Path(spec["folder"]) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.read(gate, 1)
    status = 1
    try:
        asyncio.run(run(spec))
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def tell(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main():
    gates = {}
    for line in sys.stdin:
        command = json.loads(line)
        match command["do"]:
            case "start":
                gate, opener = os.pipe()
                pid = os.fork()
                if pid == 0:
                    child(command["spec"], gate)
                os.close(gate)
                gates[pid] = opener
                tell({"pid": pid})
            case "go":
                opener = gates.pop(command["pid"])
                os.write(opener, b"!")
                os.close(opener)
                tell({})
            case "wait":
                _, status = os.waitpid(command["pid"], 0)
                tell({"ended": os.waitstatus_to_exitcode(status)})


main()
