"""Writes parts into a sink like the engine would, is killed at each thing it does to the folder, and goes on.

For every third deed n: a process is killed before it, a second one at something that it does to recover, a
third one finishes. They are forks of this process, which has loaded everything and has no threads; what is left behind is
for test_kill to judge. Prints the deeds.
"""

import json
import os
import signal
import sys
from itertools import count
from pathlib import Path

import anyio
import anyio._backends._asyncio  # what else each fork would load for itself
from batchflow_parquet.sink import parquet
from deeds import watch
from lakes import answered, named, numbered

from batchflow.testing.sink import context, receipt_of

PARTS, ROWS = 2, 12


def rows_of(number, *, backwards):
    numbers = range(number * ROWS, (number + 1) * ROWS)
    ordered = reversed(numbers) if backwards else numbers  # a redelivery may come in another order
    return numbered(answered(f"k{n:02}", None, t=n % 3, n="x" if n % 7 == 0 else n) for n in ordered)


async def engine(lake, *, backwards):
    """Delivers what is not delivered yet; the store is a file of receipts."""
    store = lake.with_suffix(".state")
    done = json.loads(store.read_text()) if store.exists() else {}
    sink = parquet(path=lake, partition_by=["t"], types={"n": "integer"}, carry=["t", "n"])
    last = list(done.values())[-1] if done else None
    await sink.open(context(sink="out", fresh=last is None), last)
    waiting = [number for number in range(PARTS) if str(number) not in done]
    for number in reversed(waiting) if backwards else waiting:
        given = await sink.write(named(rows_of(number, backwards=backwards), batch=f"b{number}"))
        done[str(number)] = receipt_of(given)
        store.with_suffix(".new").write_text(json.dumps(done))
        store.with_suffix(".new").replace(store)
    await sink.complete()
    await sink.close()


def process(lake, *, deed, backwards=False):
    """Runs the engine in a process of its own; tells how it ended."""
    if not (child := os.fork()):
        watch(lake, deed)
        try:
            anyio.run(lambda: engine(lake, backwards=backwards))
        except BaseException:  # noqa: BLE001 -- a fork must not go on as its parent
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder, first):
    deeds = []
    for deed in count(first, 3):
        lake = folder / f"lake{deed:03}"
        if process(lake, deed=deed) != -signal.SIGKILL:
            sys.stdout.write(json.dumps(deeds))
            return
        process(lake, deed=1 + deed // 2, backwards=True)
        assert process(lake, deed=0) == 0, deed
        deeds.append(deed)


main(Path(sys.argv[1]), int(sys.argv[2]))
