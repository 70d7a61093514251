"""A batch API that owes nothing to our simulator: raw asyncio, its own idea of everything, bent by small functions.

It does what the API's reference says in the plainest way. A test makes it odd by handing it a function in place of
one of its habits: how a batch is shown, how a listing is answered, how a result line reads, what comes first.
"""

import asyncio
import itertools
import json
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from batchflow import Batchflow, Job
from batchflow.builtin.anthropic.provider import anthropic
from batchflow.builtin.builders.template import template
from batchflow.builtin.sinks.jsonl import jsonl as lines_out
from batchflow.builtin.sources.jsonl import jsonl as lines_in
from batchflow.model.rules import BatchRules, RetryRules, Rules, SubmitRules
from batchflow.model.state import RunState
from batchflow.model.units import Secret
from batchflow.reports.runs import balanced

RECORDS = 2500
KEY = "sk-for-nobody-else"
BATCHES = "/v1/messages/batches"


class HurriedClock:
    """The real clock, except that waiting is short and the calendar runs along. Boot time stays real: leases and
    deadlines are about this machine, not about the server's day."""

    def __init__(self, speed: float = 40.0) -> None:
        self._speed = speed
        self._began, self._mark = time.time(), time.monotonic()

    def now(self) -> float:
        return self._began + (time.monotonic() - self._mark) * self._speed

    def boot(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds / self._speed)


class Reply:
    """A status, a body, and headers that go out as they are."""

    def __init__(self, status=200, body=None, **headers):
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def as_created(self, method):
        """The same, as a server that follows the letter of HTTP would have it."""
        self.status = 201 if method == "POST" else self.status
        return self


class Batch:
    """A batch as this server keeps it: `looks` until it is done."""

    def __init__(self, id, rows, looks):
        self.id, self.rows, self.looks = id, rows, looks
        self.born = time.time()

    @property
    def ended(self):
        return self.looks <= 0


def moment(at):
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Foreign:
    """One server. Its habits are methods that a test replaces; `asked` and `billed` are its books."""

    def __init__(self, habits):
        self.batches, self.heard, self.keys = {}, [], set()
        self.url = ""
        self.date, self.http, self.listed_first = True, "1.1", "newest"
        self._ids = itertools.count(1)
        for name, habit in habits.items():
            setattr(self, name, habit.__get__(self) if callable(habit) else habit)

    @property
    def asked(self):
        return sum(len(batch.rows) for batch in self.batches.values())

    @property
    def billed(self):
        return [
            row["params"]["messages"][0]["content"]
            for batch in self.batches.values()
            for row in batch.rows
            if self.good(row)
        ]

    def good(self, row):
        return True

    def new_id(self):
        return f"b{next(self._ids)}"

    @staticmethod
    def reply(status, body):
        return Reply(status, body)

    @staticmethod
    def failure(status, kind, text):
        return Reply(status, {"type": "error", "error": {"type": kind, "message": text}})

    def nothing(self):
        return self.failure(404, "not_found_error", "nothing here")

    def first(self, method, path):
        """What is said before anything is looked at, if it is not None."""

    def last(self, method, path, reply):
        """The reply, or None for a connection that just ends."""
        return reply

    def create(self, body):
        rows = json.loads(body)["requests"]
        batch = Batch(self.new_id(), rows, looks=3)
        self.batches[str(batch.id)] = batch
        return Reply(200, self.show(batch))

    def counts(self, batch):
        good = sum(map(self.good, batch.rows))
        done = {"succeeded": good, "errored": len(batch.rows) - good}
        return {"processing": 0 if batch.ended else len(batch.rows), "canceled": 0, "expired": 0} | (
            done if batch.ended else {"succeeded": 0, "errored": 0}
        )

    def show(self, batch):
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if batch.ended else "in_progress",
            "request_counts": self.counts(batch),
            "created_at": moment(batch.born),
            "expires_at": moment(batch.born + 86_400),
            "ended_at": moment(time.time()) if batch.ended else None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": f"{self.url}{BATCHES}/{batch.id}/results" if batch.ended else None,
        }

    def look(self, batch):
        batch.looks -= 1

    def listing(self, query):
        """Newest first, with `limit` and `after_id`, as the reference says."""
        shown = [self.show(batch) for batch in self.in_order() if self.lists(batch)]
        for batch in self.batches.values():
            self.look(batch)
        after = query.get("after_id", [None])[0]
        start = next((n + 1 for n, one in enumerate(shown) if str(one["id"]) == after), 0)
        page = shown[start : start + int(query["limit"][0])]
        return Reply(
            200, {"data": page, "has_more": start + len(page) < len(shown), "last_id": page[-1]["id"] if page else None}
        )

    def in_order(self):
        return list(self.batches.values())[:: -1 if self.listed_first == "newest" else 1]

    def lists(self, batch):
        return True

    def retrieve(self, batch):
        self.look(batch)
        return Reply(200, self.show(batch))

    def results(self, batch):
        if not batch.ended:
            return self.nothing()
        return Reply(200, self.file([self.line(row) for row in batch.rows]))

    def file(self, lines):
        return "".join(f"{line}\n" for line in lines).encode()

    def error(self, row):
        return {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": None}

    def line(self, row):
        result = {"type": "errored", "error": self.error(row)}
        if self.good(row):
            usage = {"input_tokens": 10, "output_tokens": 2}
            text = "re: " + row["params"]["messages"][0]["content"]
            message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
                       "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": usage}  # fmt: skip
            result = {"type": "succeeded", "message": message}
        return json.dumps({"custom_id": row["custom_id"], "result": result})

    def answer(self, method, path, query, body):
        parts = path.removeprefix(BATCHES).strip("/").split("/")
        if not path.startswith(BATCHES):
            return Reply(404, {})
        if parts == [""]:
            return self.create(body) if method == "POST" else self.listing(query)
        batch = self.batches.get(parts[0])
        if batch is None:
            return self.nothing()
        return self.results(batch) if parts[1:] == ["results"] else self.retrieve(batch)

    async def serve(self, reader, writer):
        try:
            while await self.call(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def call(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        where = urlsplit(target)
        self.heard.append(f"{method} {where.path}")
        self.keys.add(headers.get("x-api-key"))
        reply = self.first(method, where.path) or self.answer(method, where.path, parse_qs(where.query), body)
        reply = self.last(method, where.path, reply)
        if reply is None:
            writer.transport.abort()
            return False
        writer.write(self.wire(reply))
        await writer.drain()
        return self.http == "1.1"

    def wire(self, reply):
        headers = {"Content-Type": "application/json", **({"Date": formatdate(usegmt=True)} if self.date else {})}
        headers |= {"Content-Length": len(reply.body)} if self.http == "1.1" else {"Connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers | reply.headers).items())
        return f"HTTP/{self.http} {reply.status} OK\r\n{lines}\r\n".encode() + reply.body


@pytest.fixture
async def foreign():
    """Starts servers; their oddities are keyword arguments, functions among them get the server as `self`."""
    async with AsyncExitStack() as stack:

        async def start(**habits):
            server = Foreign(habits)
            listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1 << 20)
            stack.push_async_callback(listening.wait_closed)
            stack.callback(listening.close)
            server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            return server

        yield start


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f'{{"id":"r{n}","text":"record {n}"}}\n' for n in range(RECORDS)))
    return path


@pytest.fixture
def run(tmp_path, records):
    """Runs the job of this folder to where it can be left, against a server; gives the report, and the lines written."""

    async def to_its_end(server, max_requests=1700, **submit):
        job = Job(
            name="job",
            source=lines_in(path=records, key="id"),
            request=template(model="claude-haiku-4-5", max_tokens=9, prompt="{{ text }}"),
            sinks=[lines_out(path=tmp_path / "out.jsonl", if_exists="append")],
            rules=Rules(
                batch=BatchRules(max_requests=max_requests), submit=SubmitRules(**submit), retry=RetryRules(after=1.0)
            ),
        )
        provider = anthropic(api_key=Secret(KEY), base_url=server.url)
        with anyio.fail_after(120):
            async with Batchflow(tmp_path / "state", provider=provider, clock=HurriedClock()) as flow:
                return await flow.run(job)

    return to_its_end


@pytest.fixture
def everything_arrived(tmp_path):
    """Asserts what must be true of every server: each record delivered once, each paid once, and balanced books."""

    def check(report, server):
        assert report.run.state is RunState.DONE, report.run.why
        written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
        assert sorted(row["key"] for row in written) == sorted(f"r{n}" for n in range(RECORDS))
        assert {row["text"] for row in written} == {f"re: record {n}" for n in range(RECORDS)}
        assert sorted(server.billed) == sorted(f"record {n}" for n in range(RECORDS))
        books = report.books
        assert (books["read"], books["delivered"], books["dead"], books["in_flight"]) == (RECORDS, RECORDS, 0, 0)
        assert balanced(books)
        assert books["reserved"] == books["waste"] == 0
        assert server.asked == books["rows"] + books["retried"]
        assert server.keys == {KEY}

    return check
