"""Makes processes that type commands of `batchflow` and die where they are told to. It has imported everything, so that a fork is ready at once.

It has no threads of its own, and it reads one JSON command a line: `start` forks a process that waits, `go` lets it begin,
`wait` tells how it ended, or that it was stopped. Run by `Forge` in crashes.py.
"""

import gc
import json
import os
import random
import signal
import sys
import traceback
from importlib import import_module

from disk import Disk
from places import HastyClock, Places, watch, watch_disk

from batchflow.cli.app import command_line
from batchflow.testing import ScaledClock

LOADED_LATE = (
    "aiohttp", "anthropic", "anyio._backends._asyncio", "httpcore2", "httpx2", "importlib.resources.readers", "jinja2", "truststore",
    "batchflow.builtin.anthropic.amend", "batchflow.builtin.anthropic.prices", "batchflow.builtin.anthropic.provider",
    "batchflow.builtin.builders.template", "batchflow.builtin.retry", "batchflow.builtin.sinks.csv",
    "batchflow.builtin.sinks.jsonl", "batchflow.builtin.sinks.sqlite", "batchflow.builtin.sources.jsonl",
    "batchflow.builtin.stores.folder", "batchflow.builtin.stores.sqlite", "batchflow.cli.looking", "batchflow.cli.progress.lines",
    "batchflow.cli.running", "batchflow.cli.verbs.ps", "batchflow.cli.verbs.run", "batchflow.plugin",
)  # fmt: skip
"""What a command imports when it comes to it: here once, for all forks."""


def child(spec, gate):
    os.chdir(spec["folder"])
    os.dup2(os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.dup2(os.open(spec["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.read(gate, 1)
    status = 70
    try:
        random.seed(spec["seed"])
        places = Places(spec["trail"], spec["end"], signal.Signals[spec["blow"]])
        watch(places, clock_of(spec))
        if spec["disk"]:
            watch_disk(places, Disk(spec["folder"], spec["disk"]))
        status = command_line(spec["words"])
    except BaseException:  # whatever it was, the parent must not go on in the child's place
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def clock_of(spec):
    """Makes a clock whose leases are real, or one with hasty leases too: the latter agrees with those of others."""
    if spec["began"] is None:
        return ScaledClock(speed=spec["speed"])
    return HastyClock(spec["speed"], spec["began"])


def tell(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main():
    for module in LOADED_LATE:
        import_module(module)
    gc.freeze()
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
                _, status = os.waitpid(command["pid"], os.WUNTRACED)
                stopped = os.WIFSTOPPED(status)
                tell({"ended": None if stopped else os.waitstatus_to_exitcode(status)})


main()
