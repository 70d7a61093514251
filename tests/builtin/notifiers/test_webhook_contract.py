"""The webhook against every promise of a notifier, told to a real server in every mood."""

import base64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from batchflow.builtin.notifiers.webhook import webhook
from batchflow.model.units import Secret
from batchflow.testing import NotifierContract

KEY = base64.b64encode(b"a secret of thirty-two letters..").decode()
STATUS = {"well": 204, "busy": 503, "unwilling": 410}


class Hook(ThreadingHTTPServer):
    """Keeps what it is sent, or answers as its mood is."""

    daemon_threads = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Take)
        self.mood = "well"
        self.taken = []

    def be(self, mood):
        self.mood = mood

    def notifier(self):
        return webhook(
            url=f"http://127.0.0.1:{self.server_port}/hook",
            secret=Secret(f"whsec_{KEY}"),
            headers={"authorization": Secret("Bearer hunter2")},
        )

    def heard(self):
        return self.taken


class Take(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.close_connection = True
        if self.server.mood == "away":
            return
        if self.server.mood == "well":
            self.server.taken.append(f"{self.headers['webhook-id']} {body}")
        self.send_response(STATUS[self.server.mood])
        self.end_headers()

    def log_message(self, format, *args):
        """Keep quiet."""


class TestWebhook(NotifierContract):
    @pytest.fixture
    def receiver(self):
        with Hook() as server:
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
            yield server
            server.shutdown()

    @pytest.fixture
    def unsaid(self):
        return [KEY, "hunter2"]
