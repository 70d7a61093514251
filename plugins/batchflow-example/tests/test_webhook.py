"""The webhook against every promise of a sink, and against receivers that fail."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from batchflow_example.webhook import webhook

from batchflow.plugin import SinkError
from batchflow.testing import SinkContract
from batchflow.testing.sink import context, part, results


class Receiver(ThreadingHTTPServer):
    """A web server that keeps what it is sent, or refuses it with `answer`."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Take)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answer = 204
        self.taken: list[tuple[str, str]] = []


class Take(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.answer == 204:
            self.server.taken += [(row["key"], row["text"]) for row in rows]
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def receiver(monkeypatch) -> Iterator[Receiver]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Receiver() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


class TestWebhook(SinkContract):
    @pytest.fixture
    def make_sink(self, receiver):
        return lambda: webhook(url=receiver.url)

    @pytest.fixture
    def read_back(self, receiver):
        async def read():
            return receiver.taken

        return read


@pytest.mark.parametrize("status", [400, 404, 503])
async def test_a_refusal_says_who_refused_what(receiver, status):
    receiver.answer = status
    sink = webhook(url=receiver.url)
    await sink.open(context(), None)
    with pytest.raises(SinkError, match=f"{receiver.url} did not take 3 rows: HTTP Error {status}"):
        await sink.write(part("p1", results(0, 3)))
    assert receiver.taken == []


async def test_a_receiver_that_is_not_there_is_a_sink_error(receiver):
    receiver.shutdown()
    receiver.server_close()
    with pytest.raises(SinkError, match="Connection refused"):
        await webhook(url=receiver.url).write(part("p1", results(0, 3)))


def test_an_address_that_is_no_web_address_is_refused_before_a_run():
    with pytest.raises(ValueError, match="should begin with http"):
        webhook(url="file:///etc/passwd")
