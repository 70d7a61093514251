"""Makes processes that type commands of `batchflow`. It has imported everything, so that a fork is ready at once.

It has no threads of its own, and is given one message a process: the ends of its standard streams, and of the line on
which the process is told what to do. Back on that line go its number, each time that it was stopped, and how it ended.
A fork comes back from `serve`, and goes on like any process. Run by `Forge` in processes.py; after the number of its own
line it is given what else forks will need, modules by name.
"""

import atexit
import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import batchflow
from batchflow.cli import main
from batchflow.cli.app import command_line

LOADED_LATE = (
    "aiohttp", "anthropic", "anthropic.resources.beta", "anthropic.resources.messages", "anyio._backends._asyncio", "anyio._core._signals",
    "concurrent.futures.thread", "encodings.utf_8_sig", "httpcore2", "httpx2", "importlib.readers", "importlib.resources.readers",
    "jinja2", "rich._emoji_codes", "truststore",
)  # fmt: skip
"""What a command imports of others when it comes to it: here once, for all forks."""
JOB = """\
version: 1
provider: {api_key: "${env:HOME}"}
jobs:
  job:
    source: {type: jsonl, path: in.jsonl, key: id}
    request: {model: claude-haiku-4-5, max_tokens: 60, prompt: "{{ text }}"}
    sinks: [{type: jsonl, path: out.jsonl}]
"""
NOT_TYPED = ("batchflow.testing", "batchflow.__main__")


def load(*more):
    """Imports all there is, and begins nothing: a fork has no threads but its own."""
    for module in pkgutil.walk_packages(batchflow.__path__, "batchflow."):
        if not module.name.startswith(NOT_TYPED):
            import_module(module.name)
    for name in (*LOADED_LATE, *more):
        import_module(name)
    read_a_job()
    assert threading.active_count() == 1, "a thread was begun, which no fork would have"
    gc.freeze()


def read_a_job():
    """Has what is made once in a process be made here: the readers of options, of words and of templates."""
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said:
        job = Path(folder, "batchflow.yaml")
        job.write_text(JOB, encoding="utf-8")
        Path(folder, "in.jsonl").write_text('{"id": 1, "text": "a"}\n', encoding="utf-8")
        assert command_line(("validate", str(job))) == 0, said.getvalue()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(10)


def serve(control):
    """Forks a process for each message. In that it gives its four files; in this process nothing, at the end."""
    ended, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    lines = {}
    while True:
        ready, _, _ = select.select([control, ended], [], [])
        if ended in ready:
            os.read(ended, 1000)
            tell_of_children(lines)
        if control in ready:
            _, files, _, _ = socket.recv_fds(control, 1, 4)
            if not files:
                break
            if (pid := os.fork()) == 0:
                return files
            for stream in files[:3]:
                os.close(stream)
            lines[pid] = files[3]
            tell(lines[pid], pid)
    for pid in lines:
        os.kill(pid, signal.SIGKILL)
    return None


def tell_of_children(lines):
    """Says on each one's line who was stopped, and who is no more."""
    for pid in [*lines]:
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found and os.WIFSTOPPED(status):
            tell(lines[pid], None)
        elif found:
            line = lines.pop(pid)
            tell(line, os.waitstatus_to_exitcode(status))
            os.close(line)


def tell(line, what):
    with suppress(BrokenPipeError):  # whoever asked for it no longer listens
        os.write(line, f"{json.dumps(what)}\n".encode())


def become(files):
    """Makes of a fork what it would be had a shell begun it; it waits until it is told what it is to type."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    with os.fdopen(files[3], closefd=False) as line:
        spec = json.loads(line.readline() or "null")
    os.closerange(3, 1 + max(int(file.name) for file in Path("/dev/fd").iterdir()))
    if spec is None:
        os._exit(70)
    os.chdir(spec["folder"])
    os.environ.clear()
    os.environ.update(spec["env"])
    time.tzset()
    for stream in (sys.stdin, sys.stdout):
        stream.reconfigure(line_buffering=stream.isatty() and not sys.stdout.write_through)
    sys.argv[:] = [spec["program"], *spec["words"]]
    for first, *args in spec["first"]:
        module, _, name = first.partition(":")
        getattr(import_module(module), name)(*args)
    sys.path[0] = str(Path(spec["program"]).parent)


def leave(code):
    """Leaves as the interpreter does, only that nothing is cleared away first: that costs more than most commands."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)  # what nobody could hear, the interpreter tells in its own way
    os._exit(code)


load(*sys.argv[2:])
if (given := serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
    become(given)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__") if sys.argv[0].endswith(".py") else main()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        leave(end.code)
    leave(0)
