"""Building responses: JSON with the API's headers, error replies with or without a fault's wishes, result streams."""

import asyncio
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batchflow.sim import wire
from batchflow.sim.connection import Silence, kill, reset, transport_of, watched
from batchflow.sim.faults import Hits, Rule
from batchflow.sim.vocabulary import FaultName

RESULTS_TYPE = "application/x-jsonl"

_PRESETS: dict[FaultName, dict[str, Any]] = {
    "credit": {"status": 400, "message": wire.CREDIT},
    "spend_cap": {
        "status": 429,
        "error_code": "enforced_spend_limit_reached",
        "message": "You have reached your monthly spend limit. You will regain access at 00:00 UTC on the 1st.",
    },
    "workspace_limit": {
        "status": 400,
        "message": "You have reached your specified workspace API usage limits. You will regain access next month.",
    },
    "on_hold": {"status": 400, "error_code": "organization_on_hold", "message": "Your organization is on hold."},
    "revoked": {"status": 401},
}
_REFUSALS: tuple[FaultName, ...] = ("status", *_PRESETS)


def json_reply(value: Any, *, status: int = 200) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def error_reply(problem: wire.ApiError, request_id: str | None) -> Response:
    """The response for an error that the service found itself."""
    return json_reply(wire.error_body(problem.kind, problem.message, request_id=request_id), status=problem.status)


def refusal(hits: Hits, request_id: str | None) -> Response | None:
    """The reply that a fault puts in place of the service's, before anything was done."""
    if (rule := hits.get("redirect")) is not None:
        return Response(status_code=rule.status or 307, headers={"location": rule.value or "/elsewhere"})
    for name in _REFUSALS:
        if (rule := hits.get(name)) is not None:
            return status_reply(rule, request_id)
    return None


def status_reply(rule: Rule, request_id: str | None) -> Response:
    """The error that a rule describes."""
    preset = _PRESETS.get(rule.fault, {})
    status = rule.status or preset.get("status", 500)
    response = _bodied(rule, preset, status, request_id)
    if rule.retry_after is not None:
        response.headers["retry-after"] = _plain(rule.retry_after)
    if rule.should_retry is not None:
        response.headers["x-should-retry"] = str(rule.should_retry).lower()
    return response


def _bodied(rule: Rule, preset: Mapping[str, Any], status: int, request_id: str | None) -> Response:
    match rule.body:
        case "html":
            return Response(wire.html_error(status), status_code=status, media_type="text/html")
        case "text":
            return Response(rule.message or wire.error_text(status), status_code=status, media_type="text/plain")
        case "empty":
            return Response(status_code=status)
        case "json":
            message = rule.message or preset.get("message") or wire.error_text(status)
            code = rule.error_code or preset.get("error_code")
            kind = rule.type or wire.error_type(status)
            return json_reply(wire.error_body(kind, message, request_id=request_id, error_code=code), status=status)


def _plain(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class ResultsReply(Response):
    """A result file: streamed chunked, or cut, or reset, as the faults of this call say."""

    media_type = RESULTS_TYPE

    def __init__(self, parts: Iterator[bytes], hits: Hits) -> None:
        super().__init__()
        del self.headers["content-length"]
        if "gzip" in hits:
            self.headers["content-encoding"] = "gzip"
        self._parts = parts
        self._hits = hits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the file."""
        ending = self._hits.get("truncate", "reset_body", "kill")
        if ending is None or (ending.fault == "kill" and ending.at_byte is None):
            await self._whole(scope, send)
        else:
            await self._broken(ending, scope, send)
            await Silence()(scope, receive, send)

    async def _whole(self, scope: Scope, send: Send) -> None:
        await self._start(send)
        await self._stream(self._parts, scope, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    @staticmethod
    async def _stream(parts: Iterator[bytes], scope: Scope, send: Send) -> None:
        transport = transport_of(scope)
        for part in parts:
            if transport.is_closing():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0)

    async def _broken(self, rule: Rule, scope: Scope, send: Send) -> None:
        file = b"".join(self._parts)
        part = watched(iter([file]), at_byte=self._cut_at(rule, file))
        transport = transport_of(scope)
        if rule.framing == "close":
            transport.write(self._raw_head() + b"".join(part))
        else:
            if rule.framing == "length":
                self.headers["content-length"] = str(len(file))
            await self._start(send)
            await self._stream(part, scope, send)
        if rule.fault == "kill":
            kill(rule)
        if rule.fault == "truncate":
            transport.close()
        else:
            await asyncio.sleep(0)
            reset(scope)

    @staticmethod
    def _cut_at(rule: Rule, file: bytes) -> int:
        if rule.at_byte is not None:
            return rule.at_byte
        if rule.rows is not None:
            return sum(len(line) for line in file.splitlines(keepends=True)[: rule.rows])
        return len(file) // 2

    def _raw_head(self) -> bytes:
        """A head without length or chunking: the body ends when the connection does."""
        status = HTTPStatus(self.status_code)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        lines += [b"%b: %b" % pair for pair in self.raw_headers]
        return b"\r\n".join([*lines, b"connection: close", b"", b""])
