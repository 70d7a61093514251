"""A real Redis for these tests: `redis-server` on a free port of loopback, begun once and ended by its pid."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from redis import Redis, RedisError

MISSING = (
    "there is no `redis-server` here (Debian: `apt-get install redis-server`), so nothing of this plugin is tested"
)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


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
