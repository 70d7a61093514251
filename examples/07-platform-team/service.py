"""A claims desk to try this with, and to test against: it keeps one verdict per claim, and says how often each was written.

python service.py 8080
"""

import json
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

TOKEN = "desk-token-of-the-night-job"  # noqa: S105 - of this toy, whose secret `prepare.py` writes
FORBIDDEN = "4111 1111"
"""The desk takes no verdict with a card number in it."""


class Desk(ThreadingHTTPServer):
    """Keeps verdicts in memory. `status` is what it answers instead, where it is not 200."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Calls)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.status = 200
        self.verdicts: dict[str, dict[str, Any]] = {}
        self.written: Counter[str] = Counter()
        self.heard: list[dict[str, Any]] = []
        self._lock = Lock()

    def keep(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put rows in place of those of the same claims; give those that it will not have."""
        refused = [
            {"at": at, "why": "a card number is in it"} for at, row in enumerate(rows) if FORBIDDEN in row["verdict"]
        ]
        unwanted = {one["at"] for one in refused}
        with self._lock:
            for at, row in enumerate(rows):
                if at not in unwanted:
                    self.verdicts[row["claim"]] = row
                    self.written[row["claim"]] += 1
        return refused

    def answered(self) -> None:
        """Called when rows are kept and the answer is not sent: where tests hold it up."""


class Calls(BaseHTTPRequestHandler):
    """What can be asked of the desk: `PUT /verdicts`, and `POST /hook` for what runs tell."""

    server: Desk  # pyright: ignore[reportIncompatibleVariableOverride] - it serves no other

    def do_PUT(self) -> None:
        """Keep verdicts."""
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._say(401, {"error": "who are you?"})
        if self.server.status != 200:
            return self._say(self.server.status, {"error": "not now"})
        refused = self.server.keep(rows)
        self.server.answered()
        return self._say(200, {"refused": refused})

    def do_POST(self) -> None:
        """Hear of a run."""
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._say(200, {})

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _say(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # whoever asked may be dead by now
            self.close_connection = True


if __name__ == "__main__":
    with Desk(int(sys.argv[1]) if len(sys.argv) > 1 else 8080) as serving:
        print(f"export DESK_URL={serving.url} OPS_HOOK={serving.url}/hook")
        serving.serve_forever()
