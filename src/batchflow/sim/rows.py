"""What becomes of each row: decided once, when its batch has ended, and rendered as a result line when downloaded.

Deciding keeps one byte per row; rendering starts again from the params, so that a batch of 100,000 rows never exists
as objects. The same code serves the synchronous Messages API.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from batchflow.sim import answers
from batchflow.sim.answers import Answer, Answerer
from batchflow.sim.batches import Batch
from batchflow.sim.cache import NOTHING, PromptCache, Traffic
from batchflow.sim.draw import Draw, digest, shuffled, token
from batchflow.sim.faults import Faults
from batchflow.sim.models import Model, find
from batchflow.sim.shapes import Object, first_user_text, last_user_text, mapping
from batchflow.sim.validate import NOT_AN_OBJECT, Context, problem_of
from batchflow.sim.wire import CREDIT, ApiError

_ERROR_WORDS: Final = {
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "server_error": (500, "api_error", "Internal server error"),
    "rate_limited": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "timeout": (504, "timeout_error", "The request timed out while processing."),
    "invalid": (400, "invalid_request_error", "messages: the request was refused by the fault plan"),
    "too_large": (413, "request_too_large", "Request exceeds the maximum size"),
    "credit": (400, "invalid_request_error", CREDIT),
    "permission": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
}
_UNBILLED = ("checked", "canceled", "expired", "missing", *_ERROR_WORDS)
_ANSWERED = ("ok", "refusal", "max_tokens", "pause_turn", "context_exceeded", "bad_json", "empty")
_WORDS: Final = (*_ANSWERED, *_UNBILLED)
_CODE: Final = {word: number for number, word in enumerate(_WORDS)}
_IN_FLIGHT = 0.25
"""The share of rows that a cancel finds already running, and that complete."""


def coded(words: Iterable[str]) -> bytearray:
    """What became of each row, as a batch keeps it."""
    return bytearray(_CODE[word] for word in words)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """request_counts, as on the wire."""

    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


def counts(batch: Batch) -> Counts:
    """How many rows came out how; all are `processing` until the batch has ended."""
    outcomes = batch.outcomes
    if outcomes is None:
        return Counts(processing=len(batch.requests))
    succeeded = sum(outcomes.count(_CODE[word]) for word in _ANSWERED)
    canceled, expired = outcomes.count(_CODE["canceled"]), outcomes.count(_CODE["expired"])
    errored = len(outcomes) - succeeded - canceled - expired
    return Counts(succeeded=succeeded, errored=errored, canceled=canceled, expired=expired)


class Judge:
    """Decides and renders rows: holds the seed, the prompt cache and the row faults."""

    def __init__(self, seed: int, faults: Faults, cache: PromptCache, write: Answerer | None) -> None:
        self.faults = faults
        self._seed = seed
        self._cache = cache
        self._write = write

    def settle(self, batch: Batch) -> None:
        """Decides every row of a batch that has ended."""
        outcomes = bytearray(len(batch.requests))
        finish = list(batch.finish_times())
        for index in sorted(range(len(finish)), key=finish.__getitem__):
            outcomes[index] = _CODE[self._fate(batch, index, finish[index])]
        batch.outcomes = outcomes

    def _fate(self, batch: Batch, index: int, done_at: float) -> str:
        if batch.cancel_at is not None and batch.ends_at == batch.cancel_ends_at:
            in_flight = Draw(digest("in flight", batch.id, index)).share() < _IN_FLIGHT
            if done_at > batch.cancel_at and not in_flight and not batch.spared:
                return "canceled"
        elif done_at > batch.ends_at:
            return "expired"
        return self._served(batch, index, done_at)

    def _served(self, batch: Batch, index: int, now: float) -> str:
        raw = batch.requests[index].params
        params = decoded(raw)
        if params is None or problem_of(params, batch.context):
            return "checked"
        if (word := self._row_word(params)) is not None:
            return word
        if b"cache_control" in bytes(raw):
            traffic = self._cache.serve(params, _model(params), batch.account.workspace, now)
            if traffic.total:
                batch.cached[index] = traffic
        return "ok"

    def _row_word(self, params: Object) -> str | None:
        if not self.faults.plan.rows:
            return None
        return self.faults.row_word(first_user_text(params), last_user_text(params))

    def lines(self, batch: Batch) -> Iterator[bytes]:
        """The result lines of an ended batch, shuffled, without line ends."""
        for index in shuffled(len(batch.requests), digest("order", batch.id)):
            line = self.line(batch, index)
            if line is not None:
                yield line

    def line(self, batch: Batch, index: int) -> bytes | None:
        """One result line; None for a row the server lost."""
        result = self._result(batch, index)
        if result is None:
            return None
        return b'{"custom_id":"%b","result":%b}' % (batch.requests[index].custom_id.encode(), result)

    def _result(self, batch: Batch, index: int) -> bytes | None:
        word = _WORDS[(batch.outcomes or b"")[index]]
        if word == "missing":
            return None
        if word in {"canceled", "expired"}:
            return b'{"type":"%b"}' % word.encode()
        params = decoded(batch.requests[index].params)
        if word == "checked" or params is None:
            problem = problem_of(params, batch.context)
            kind, message = (
                ("api_error", "Internal server error") if problem is None else (problem.kind, problem.message)
            )
            return _errored(kind, message, None)
        if word in _ERROR_WORDS:
            _, kind, message = _ERROR_WORDS[word]
            return _errored(kind, message, f"workerreq_01{token(digest(batch.id, index))}")
        made = self._message(params, word, "batch", batch.cached.get(index, NOTHING))
        return b'{"type":"succeeded","message":%b}' % msgspec.json.encode(made)

    def reply(self, params: Object | None, context: Context, workspace: str, now: float) -> Object:
        """The Messages API's answer to one synchronous request."""
        problem = problem_of(params, context)
        if params is None or problem is not None:
            problem = problem or NOT_AN_OBJECT
            raise ApiError(404 if problem.kind == "not_found_error" else 400, problem.message, kind=problem.kind)
        word = self._row_word(params)
        if word in _ERROR_WORDS:
            status, kind, message = _ERROR_WORDS[word]
            raise ApiError(status, message, kind=kind)
        traffic = self._cache.serve(params, _model(params), workspace, now)
        return self._message(params, word if word in _ANSWERED else "ok", "standard", traffic)

    def _message(self, params: Object, word: str | None, tier: str, traffic: Traffic) -> Object:
        made = self._answer(params, word)
        model = _model(params)
        asked = answers.input_tokens(params, model)
        return {
            "id": f"msg_01{token(made.identity)}",
            "type": "message",
            "role": "assistant",
            "model": model.snapshot,
            "content": made.content,
            "stop_reason": made.stop_reason,
            "stop_sequence": made.stop_sequence,
            "stop_details": made.stop_details,
            "usage": {
                "input_tokens": max(1, asked - traffic.total),
                "cache_creation_input_tokens": traffic.written_5m + traffic.written_1h,
                "cache_read_input_tokens": traffic.read,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": traffic.written_5m,
                    "ephemeral_1h_input_tokens": traffic.written_1h,
                },
                "output_tokens": made.output_tokens,
                "service_tier": tier,
                "inference_geo": "not_available",
            },
        }

    def _answer(self, params: Object, word: str | None) -> Answer:
        match word:
            case "refusal":
                return answers.refusal(params, self._seed)
            case "bad_json":
                return answers.not_json(params, self._seed)
            case "empty":
                return answers.empty(params, self._seed)
            case "max_tokens" | "pause_turn":
                return answers.cut(params, self._seed, self._write, word)
            case "context_exceeded":
                return answers.cut(params, self._seed, self._write, "model_context_window_exceeded")
            case _:
                return answers.answer(params, self._seed, self._write)


def decoded(raw: msgspec.Raw | bytes) -> Object | None:
    """The params of one request, if they are an object."""
    value: Any = msgspec.json.decode(raw)
    return mapping(value)


def _model(params: Object) -> Model:
    model = find(str(params["model"]))
    assert model is not None, "validation lets no unknown model through"
    return model


def _errored(kind: str, message: str, request_id: str | None) -> bytes:
    error: Object = {"type": kind, "message": message}
    if request_id is None:
        error["details"] = {"error_visibility": "user_facing"}
    outer = {"type": "error", "error": error, "request_id": request_id}
    return msgspec.json.encode({"type": "errored", "error": outer})
