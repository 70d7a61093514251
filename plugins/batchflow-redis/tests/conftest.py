"""A real Redis for these tests: `redis-server` on a free port of loopback, begun once and ended by its pid."""

import os
import select
import shutil
import signal
import socket
import subprocess
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from processes import Forge
from redis import Redis, RedisError

MISSING = (
    "there is no `redis-server` here (Debian: `apt-get install redis-server`), so nothing of this plugin is tested"
)
USED_LATE = ("batchflow_redis.mirror", "batchflow_redis.sink", "batchflow_redis.source")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def forge():
    """Begins processes that type commands, and have all of this plugin at hand."""
    with Forge(*USED_LATE) as forge:
        yield forge


class Store:
    """The server, and a client of its own to look with."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self.socket = str(folder / "redis.sock")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [
            program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
            "--unixsocket", self.socket, *options,
        ]  # fmt: skip
        self._log = folder / "redis.log"
        self.begin()

    def begin(self) -> None:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self.look = Redis(port=self.port, decode_responses=True, protocol=2)
        while not self._is_up():
            assert self.process.poll() is None, self._log.read_text()

    def end(self) -> None:
        self.look.close()
        self.process.terminate()
        self.process.wait()

    def _is_up(self) -> bool:
        try:
            return "ready" in self._log.read_text().lower() and bool(self.look.ping())
        except (OSError, RedisError):
            return False

    def held(self, stream="queue", group="batchflow"):
        """Ids that were handed out and not acknowledged."""
        return [one["message_id"] for one in self.look.xpending_range(stream, group, "-", "+", 10**6)]

    def consumers(self, stream="queue", group="batchflow"):
        return {one["name"]: one["pending"] for one in self.look.xinfo_consumers(stream, group)}


def program():
    found = shutil.which("redis-server")
    if found is None and os.environ.get("CI"):
        pytest.fail(MISSING)
    return found or pytest.skip(MISSING)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    store = Store(program(), tmp_path_factory.mktemp("redis"))
    yield store
    store.end()


@pytest.fixture
def store(server):
    """The server, empty."""
    server.look.flushall()
    return server


class Ferry:
    """A way to the server that watches what a process asks, and may kill it: before its n-th call arrives, or with its work done."""

    def __init__(self, store):
        self._store = store
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._door.getsockname()[1]}/0"
        self.calls = []
        self.victim = None
        Thread(target=self._serve, daemon=True).start()

    def watch(self, call=None, *, done=False):
        """Forget what was asked; the process that is named by `pid` next dies at this call."""
        self.calls, self.victim, self._done = [], call, done
        self.pid = Future()

    def close(self):
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _serve(self):
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self._store.port))
                Thread(target=self._there, args=(near, far), daemon=True).start()

    def _there(self, near, far):
        with near, far, suppress(OSError):
            while said := near.recv(1 << 20):
                names = ["XADD"] if ADD in said else [name for name in COMMANDS if f"\r\n{name}\r\n".encode() in said]
                if not names:
                    far.sendall(said)  # the end of a long one, or what a client says of itself
                    near.sendall(far.recv(1 << 20))
                    continue
                self.calls.append("+".join(names))
                due = self.victim == len(self.calls)
                if due and not self._done:
                    self._kill()
                    return
                far.sendall(said)
                answer = far.recv(1 << 20)
                if due:
                    self._kill()
                    return
                near.sendall(answer)
                while select.select([far], [], [], 0)[0]:
                    near.sendall(far.recv(1 << 20))

    def _kill(self):
        os.kill(self.pid.result(), signal.SIGKILL)


ADD = b"'XADD'"
"""In the script with which the sink adds."""
COMMANDS = ("EXISTS", "XGROUP", "XINFO", "EVAL", "XREADGROUP", "XAUTOCLAIM", "XPENDING", "XACK", "HSET")


@pytest.fixture
def ferry(store):
    ferry = Ferry(store)
    yield ferry
    ferry.close()
