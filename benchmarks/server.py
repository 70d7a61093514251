"""A Batches API that answers as fast as it can, so that what is measured is its client.

    uv run python benchmarks/server.py --port 9800

Not to be mistaken for `batchflow sim`, which is careful and complete: here nothing is validated and no request is even
decoded. Custom ids are found by a pattern, each is answered with the same text, and results come in random order, as
from the API. A batch has ended after it was looked at twice, by listing or by retrieving.
"""

import argparse
import json
import random
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

BATCHES = "/v1/messages/batches"
CUSTOM_ID = re.compile(rb'"custom_id": ?"([^"]*)"')
LOOKS = 2
ROWS = 500
"""Result lines written at once."""
TEXT = (
    'The claim says, in short: \\"water came in under the roof\\".\\nThe estimate is covered, and was paid in full '
    "after the second visit; photos were left with the office. Café terrace and kitchen are in the same policy, "
    "which ends in March. Nothing else was found that the first report had not named already."
)
LINE = (
    '{"custom_id":"%b","result":{"type":"succeeded","message":{"id":"msg_01%022d","type":"message","role":"assistant",'
    '"model":"claude-haiku-4-5","content":[{"type":"text","text":"' + TEXT + '"}],"stop_reason":"end_turn",'
    '"stop_sequence":null,"usage":{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
    '"output_tokens":78,"service_tier":"batch"}}}}\n'
).encode()


class Batch:
    """One batch: the custom ids that came in, and how often it was looked at."""

    def __init__(self, number: int, body: bytes) -> None:
        self.id = f"msgbatch_{number:08d}"
        self.custom_ids = CUSTOM_ID.findall(body)
        self.tokens = len(body) // max(1, len(self.custom_ids)) // 4
        self.looks = 0

    def look(self) -> dict[str, Any]:
        """Shows the batch, and brings its end nearer."""
        self.looks += 1
        ended, rows = self.looks > LOOKS, len(self.custom_ids)
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {
                "processing": 0 if ended else rows,
                "succeeded": rows if ended else 0,
                "errored": 0,
                "canceled": 0,
                "expired": 0,
            },
            "created_at": "2026-01-01T00:00:00Z",
            "expires_at": "2036-01-01T00:00:00Z",
            "ended_at": "2026-01-01T00:01:00Z" if ended else None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": f"{BATCHES}/{self.id}/results" if ended else None,
        }


class Server(ThreadingHTTPServer):
    """Keeps the batches, by id, oldest first."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.batches: dict[str, Batch] = {}
        self.numbers = count(1)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests, one after another."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        """Creates a batch."""
        body = self.rfile.read(int(self.headers["content-length"]))
        batch = Batch(next(self.server.numbers), body)
        self.server.batches[batch.id] = batch
        self._say(batch.look())

    def do_GET(self) -> None:
        """Lists, retrieves or downloads."""
        address = urlsplit(self.path)
        match address.path.removeprefix(BATCHES).strip("/").split("/"):
            case [""]:
                self._list({name: values[-1] for name, values in parse_qs(address.query).items()})
            case [id]:
                self._say(self.server.batches[id].look())
            case [id, "results"]:
                self._results(self.server.batches[id])
            case _:
                self.send_error(404)

    def _list(self, query: dict[str, str]) -> None:
        newest_first = list(self.server.batches)[::-1]
        start = newest_first.index(query["after_id"]) + 1 if "after_id" in query else 0
        ids = newest_first[start : start + int(query.get("limit", "20"))]
        page = [self.server.batches[id].look() for id in ids]
        more = start + len(ids) < len(newest_first)
        self._say(
            {
                "data": page,
                "has_more": more,
                "first_id": ids[0] if ids else None,
                "last_id": ids[-1] if ids else None,
            }
        )

    def _results(self, batch: Batch) -> None:
        ids = batch.custom_ids.copy()
        random.Random(batch.id).shuffle(ids)
        self._head("application/x-jsonl", "Transfer-Encoding: chunked")
        for start in range(0, len(ids), ROWS):
            lines = b"".join(
                [LINE % (id, row, batch.tokens) for row, id in enumerate(ids[start : start + ROWS], start)]
            )
            self.wfile.write(b"%x\r\n%b\r\n" % (len(lines), lines))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _say(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self._head("application/json", f"Content-Length: {len(body)}")
        self.wfile.write(body)
        self.wfile.flush()

    def _head(self, kind: str, length: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header(*length.split(": "))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def main() -> None:
    """Serves until it is stopped; the first line it prints is its address."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0, help="0 is any that is free")
    server = Server(arguments.parse_args().port)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
