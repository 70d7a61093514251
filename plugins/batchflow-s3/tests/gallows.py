"""A way to a server on which a process can be killed: at its n-th call, before it arrives or with its work done.

It hands every call on as it is, so what the server sees is what the client said. Calls are counted from the moment that
somebody is named to be watched.
"""

import http.client
import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import msgspec


class Sentence(msgspec.Struct):
    """Who dies, at which of its calls, and whether the server has done it by then."""

    call: int
    done: bool


class Gallows(ThreadingHTTPServer):
    """Passes calls on. `calls` are those that were heard since `watch`, as "PUT key"."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), Pass)
        self.target = urlsplit(target).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.calls: list[str] = []
        self.sentence: Sentence | None = None
        self.pid = 0
        self.cut: int | None = None
        """Bytes after which what is read breaks off."""

    def __enter__(self):
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.shutdown()
        self.server_close()

    def watch(self, sentence: Sentence | None) -> None:
        self.calls, self.sentence, self.pid = [], sentence, 0

    def hear(self, call: str) -> int:
        self.calls.append(call)
        return len(self.calls)

    def judge(self, number: int, *, done: bool) -> bool:
        """Carries the sentence out if it is for this moment; true when nobody waits for an answer any more."""
        if self.sentence != Sentence(number, done):
            return False
        os.kill(self.pid, signal.SIGKILL)
        return True

    def handle_error(self, request, client_address):
        """Whoever is killed hangs up."""


class Pass(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gallows

    def _pass(self) -> None:
        number = self.server.hear(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.judge(number, done=False):
            self.close_connection = True
            return
        onward = http.client.HTTPConnection(self.server.target)
        # The name of the server is part of what is signed, and moto tells by it what is asked: it stays the client's.
        onward.request(self.command, self.path, body, dict(self.headers.items()))
        reply = onward.getresponse()
        data = reply.read()
        onward.close()
        if self.server.judge(number, done=True):
            self.close_connection = True
            return
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.getheaders():
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                self.send_header(name, value)
        self.send_header(
            "Content-Length", reply.headers["Content-Length"] if self.command == "HEAD" else str(len(data))
        )
        self.end_headers()
        if self.command == "GET" and self.server.cut is not None and len(data) > self.server.cut:
            self.close_connection = True
            data = data[: self.server.cut]
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""
