"""Lines of a results file, read at about a microsecond each.

One decode takes a line apart, a second takes from the message only what batchflow looks at; the message itself stays
undecoded. It is a view into its line, so an Answer keeps its own line in memory, and no other. What does not fit the
expected types is read again slowly, field by field: an odd counter must not cost a paid answer.

A file is gone through twice: skimmed when it arrives, for fates and money, and read when it is delivered.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from batchflow.builtin.anthropic.problems import read_problem
from batchflow.machine.outcome import stop_word
from batchflow.model.result import NO_USAGE, Answer, Usage
from batchflow.model.words import Word

_NULL = msgspec.Raw(b"null")
_NOTHING: Mapping[str, Any] = {}
_UNREADABLE = (ValueError, RecursionError)


class _Block(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    text: str | None = None


class _Message(msgspec.Struct, frozen=True, gc=False):
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: Usage | None = None


class _Result(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None
    message: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


class _Line(msgspec.Struct, frozen=True, gc=False):
    custom_id: str
    result: _Result


class _MessageSkimmed(msgspec.Struct, frozen=True, gc=False):
    model: str | None = None
    content: msgspec.Raw = _NULL
    stop_reason: str | None = None
    usage: Usage | None = None


class _ResultSkimmed(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None
    message: _MessageSkimmed | None = None


class _LineSkimmed(msgspec.Struct, frozen=True, gc=False):
    custom_id: str
    result: _ResultSkimmed


_LINE = msgspec.json.Decoder(_Line)
_MESSAGE = msgspec.json.Decoder(_Message)
_SKIM = msgspec.json.Decoder(_LineSkimmed).decode


def read_rows(lines: Sequence[bytes]) -> list[Answer]:
    """Reads whole lines; one that cannot be read is an Answer without a word, and keeps its custom_id if it has one."""
    return [_read(line) for line in lines]


def skim_rows(lines: Sequence[bytes]) -> list[Answer]:
    """Reads the same without the texts and messages of good answers, in a third of the time."""
    skim, answers = _SKIM, list[Answer]()
    for line in lines:
        try:
            told = skim(line)
        except _UNREADABLE:
            answers.append(_read(line))
            continue
        message = told.result.message
        if message is None or told.result.type != "succeeded" or not bytes(message.content).startswith(b"["):
            answers.append(_read(line))
            continue
        reason = message.stop_reason or ""
        word = Word.OK if reason == "end_turn" else stop_word(message.stop_reason)
        answers.append(Answer(told.custom_id, word, message.model or "", "", _NULL, message.usage or NO_USAGE, reason))
    return answers


def answered(custom_id: str, message: msgspec.Raw) -> Answer:
    """Reads a message that was answered: it is billed, whatever we think of it."""
    try:
        told = _MESSAGE.decode(message)
    except _UNREADABLE:
        return _odd(custom_id, message)
    content, reason = told.content, told.stop_reason
    if content is None:
        return Answer(custom_id, None, message=message, error="a succeeded row without content")
    only = content[0] if len(content) == 1 else None
    text = (only.text or "") if only is not None and only.type == "text" else _joined(content)
    word = Word.OK if reason == "end_turn" else stop_word(reason)
    return Answer(custom_id, word, told.model or "", text, message, told.usage or NO_USAGE, reason or "")


def _read(line: bytes) -> Answer:
    try:
        told = _LINE.decode(line)
        result = told.result
        return answered(told.custom_id, result.message) if result.type == "succeeded" else _row(told)
    except _UNREADABLE as error:
        return _mended(line, error)


def _mended(line: bytes, error: Exception) -> Answer:
    """Reads a line with half a surrogate pair or a byte that is no UTF-8: better a mark there than a paid answer lost."""
    told = None
    with contextlib.suppress(*_UNREADABLE):
        told = json.loads(line.decode(errors="replace"))
        sound = json.dumps(told, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return _row(_LINE.decode(sound.encode()))
    names = [_text(row.get("custom_id")) for row in _objects([told])]
    return Answer("".join(names), None, error=f"a result line that cannot be read: {error}")


def _row(told: _Line) -> Answer:
    kind = told.result.type
    if kind == "succeeded":
        return answered(told.custom_id, told.result.message)
    return _unanswered(told.custom_id, kind or "", told.result)


def _unanswered(custom_id: str, kind: str, result: _Result) -> Answer:
    match kind:
        case "errored":
            problem = read_problem(result.error)
            return Answer(custom_id, problem.word(), error=str(problem) or "errored, without a reason")
        case "canceled":
            return Answer(custom_id, Word.CANCELED, error="canceled before it was processed")
        case "expired":
            return Answer(custom_id, Word.EXPIRED, error="not processed within 24 hours")
        case _ if bytes(result.message) != b"null":
            return answered(custom_id, result.message)
        case _:  # only succeeded rows are billed, so asking again is safe
            return Answer(custom_id, Word.SERVER_ERROR, error=f"unknown result type {kind!r}")


def _joined(content: list[_Block]) -> str:
    return "".join([block.text for block in content if block.type == "text" and block.text])


def _odd(custom_id: str, message: msgspec.Raw) -> Answer:
    (told,) = _objects([msgspec.json.decode(message)]) or [_NOTHING]
    if not isinstance(told.get("content"), list):
        return Answer(custom_id, None, message=message, error="a succeeded row whose message cannot be read")
    text = "".join([_text(block.get("text")) for block in _objects(told["content"]) if block.get("type") == "text"])
    reason = _text(told.get("stop_reason"))
    usage = _odd_usage(told.get("usage"))
    return Answer(custom_id, stop_word(reason), _text(told.get("model")), text, message, usage, reason)


def _odd_usage(told: object) -> Usage:
    """Keeps those counters that are what they should be."""
    (counters,) = _objects([told]) or [_NOTHING]
    kept = {name: _fitting(counters[name], kind) for name, kind in Usage.__annotations__.items() if name in counters}
    return Usage(**kept)


def _fitting(value: object, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except ValueError:
        return None


def _objects(values: object) -> list[dict[str, Any]]:
    listed = cast("list[Any]", values) if isinstance(values, list) else []
    return [cast("dict[str, Any]", value) for value in listed if isinstance(value, dict)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
