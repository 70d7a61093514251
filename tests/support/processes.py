"""Processes that type a command of `batchflow`, as a shell would begin them, but at a tenth of the cost.

What costs is to start Python and to import the SDK. So one process does that, and is forked for each command (forge.py).
Such a fork is a process like any other: its number, its signals, limits, streams, folder and environment are its own. Only
what Python itself reads at its start is that of the forge; tests of that begin with `subprocess`.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, PIPE

BATCHFLOW = str(Path(sys.executable).with_name("batchflow"))
READ_AT_START = ("PYTHON", "LANG", "LC_")


class Forge:
    """The process that forks processes. It loads batchflow, and `more`: modules that would cost every fork the same again."""

    def __init__(self, *more):
        self._control, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, Path(__file__).with_name("forge.py"), str(theirs.fileno()), *more]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=DEVNULL)

    def begin(self, *words, **how):
        """Has a process type this; see `held`."""
        process = self.held(*words, **how)
        process.let_go()
        return process

    def held(
        self, *words, folder, program=BATCHFLOW, env=None, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, first=()
    ):  # fmt: skip
        """Makes a process that waits to be let go; then it does `first`, functions by path with arguments, and types this."""
        env = dict(os.environ if env is None else env)
        changed = {name for name, _ in env.items() ^ os.environ.items() if name.startswith(READ_AT_START)}
        assert not changed, f"Python reads {changed} when it starts, which the forge has done"
        spec = {"words": words, "folder": str(folder), "program": str(program), "env": env, "first": first}
        line, theirs = socket.socketpair()
        ours, ends = zip(*(_stream(*stream) for stream in ((stdin, "w"), (stdout, "r"), (stderr, "r"))), strict=True)
        socket.send_fds(self._control, [b"!"], [*ends, theirs.fileno()])
        theirs.close()
        for end in ends:
            os.close(end)
        return Process(line, spec, ours)

    def close(self):
        self._control.close()
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Process:
    """One such process: what `subprocess.Popen` is of others."""

    def __init__(self, line, spec, streams):
        self._line = line
        self._told = line.makefile("rb", buffering=0)  # what is left to hear, a selector must see
        self._spec = spec
        self.stdin, self.stdout, self.stderr = streams
        self.returncode = None
        self.pid = self._heard()

    def let_go(self):
        self._line.sendall(json.dumps(self._spec).encode() + b"\n")

    def pause(self):
        """Waits until it ends, and says how; or until it is stopped, which is None."""
        if self.returncode is None:
            self.returncode = self._heard()
        return self.returncode

    def wait(self):
        while self.pause() is None:
            pass
        return self.returncode

    def poll(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self._line, selectors.EVENT_READ)
            while self.returncode is None and selector.select(0):
                self.pause()
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def communicate(self):
        """Hears all that it says, and waits for its end."""
        with ThreadPoolExecutor(2) as ears:
            said = list(ears.map(lambda stream: stream and stream.read(), (self.stdout, self.stderr)))
        self.wait()
        return said

    def close(self):
        for end in (self.stdin, self.stdout, self.stderr, self._told, self._line):
            if end is not None:
                end.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.wait()
        self.close()

    def _heard(self):
        told = self._told.readline()
        assert told, "the forge is no more"
        return json.loads(told)


def _stream(wanted, mode):
    """Gives our end of a stream of a process, if we are to have one, and its own."""
    if wanted == PIPE:
        read, write = os.pipe()
        return (os.fdopen(read), write) if mode == "r" else (os.fdopen(write, "w"), read)
    if wanted == DEVNULL:
        return None, os.open(os.devnull, os.O_RDWR)
    return None, os.dup(wanted if isinstance(wanted, int) else wanted.fileno())
