"""Lines of a results file, read at about a microsecond each.

One decode takes from a line only what batchflow looks at. What does not fit the expected types, and whatever is no success,
is read again slowly, field by field: an odd counter must not cost a paid answer. A file is gone through twice: skimmed when it arrives, for
fates and money, and read when it is delivered.
"""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast, get_args

import msgspec

from batchflow.builtin.anthropic.problems import read_problem
from batchflow.machine.outcome import stop_word
from batchflow.model.result import NO_USAGE, Answer, Usage
from batchflow.model.words import Word

_NULL = msgspec.Raw(b"null")
_NOTHING: Mapping[str, Any] = {}
_UNREADABLE = (ValueError, RecursionError)


Reason: TypeAlias = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"
]
"""Stop reasons that are known by name: these come without a string being made for each. Any other is read slowly."""

Kind: TypeAlias = Literal[
    "text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "web_search_tool_result"
]
"""Kinds of blocks, known by name for the same reason."""


class _Block(msgspec.Struct, frozen=True, gc=False):
    type: Kind
    text: str | None = None


class _Message(msgspec.Struct, frozen=True, gc=False):
    content: list[_Block]
    model: str | None = None
    stop_reason: Reason | None = None
    usage: Usage | None = None


class _Result(msgspec.Struct, frozen=True, gc=False):
    type: Literal["succeeded"]
    message: _Message


class _Line(msgspec.Struct, frozen=True, gc=False):
    custom_id: str
    result: _Result


class _Unseen(msgspec.Struct, frozen=True, gc=False):
    """A block that is not looked at."""


class _MessageSkimmed(msgspec.Struct, frozen=True, gc=False):
    content: list[_Unseen]
    model: str | None = None
    stop_reason: Reason | None = None
    usage: Usage | None = None


class _ResultSkimmed(msgspec.Struct, frozen=True, gc=False):
    type: Literal["succeeded"]
    message: _MessageSkimmed


class _LineSkimmed(msgspec.Struct, frozen=True, gc=False):
    custom_id: str
    result: _ResultSkimmed


class _ResultOdd(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None
    message: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


class _LineOdd(msgspec.Struct, frozen=True, gc=False):
    custom_id: str
    result: _ResultOdd


_READ = msgspec.json.Decoder(_Line).decode
_SKIM = msgspec.json.Decoder(_LineSkimmed).decode
_ODD = msgspec.json.Decoder(_LineOdd).decode
_WORDS: Mapping[str | None, Word] = {reason: stop_word(reason) for reason in (None, *get_args(Reason))}


def read_rows(lines: Sequence[bytes]) -> list[Answer]:
    """Reads whole lines; one that cannot be read is an Answer without a word, and keeps its custom_id if it has one."""
    return _all(lines, _read)


def skim_rows(lines: Sequence[bytes]) -> list[Answer]:
    """Reads the same without the texts of good answers, in two thirds of the time."""
    return _all(lines, _skim)


def _all(lines: Sequence[bytes], quickly: Callable[[Sequence[bytes]], list[Answer]]) -> list[Answer]:
    """Reads plain successes many at a time; where there is anything else, one by one, and slowly what is none."""
    try:
        return quickly(lines)
    except _UNREADABLE:
        return [_slowly(lines[0])] if len(lines) == 1 else [_all([line], quickly)[0] for line in lines]


def _read(lines: Sequence[bytes]) -> list[Answer]:
    read, words = _READ, _WORDS
    return [
        Answer(
            told.custom_id,
            words[message.stop_reason],
            message.model or "",
            blocks[0].text or "" if len(blocks) == 1 and blocks[0].type == "text" else _joined(blocks),
            line,
            message.usage or NO_USAGE,
            message.stop_reason or "",
        )
        for line in lines
        for told in (read(line),)
        for message in (told.result.message,)
        for blocks in (message.content,)
    ]


def _skim(lines: Sequence[bytes]) -> list[Answer]:
    skim, words, none = _SKIM, _WORDS, NO_USAGE
    return [
        Answer(
            told.custom_id,
            words[message.stop_reason],
            message.model or "",
            "",
            line,
            message.usage or none,
            message.stop_reason or "",
        )
        for line in lines
        for told in (skim(line),)
        for message in (told.result.message,)
    ]


def read_message(body: bytes) -> Answer:
    """Reads the reply to a single request: a line of one, without a name."""
    return read_rows([b'{"custom_id":"","result":{"type":"succeeded","message":' + body + b"}}"])[0]


def _slowly(line: bytes) -> Answer:
    """Reads what is no plain success."""
    try:
        return _row(line, _ODD(line))
    except _UNREADABLE as error:
        return _mended(line, error)


def _mended(line: bytes, error: Exception) -> Answer:
    """Reads a line with half a surrogate pair or a byte that is no UTF-8: better a mark there than a paid answer lost."""
    told = None
    with contextlib.suppress(*_UNREADABLE):
        told = json.loads(line.decode(errors="replace"))
        sound = json.dumps(told, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return _row(sound.encode(), _ODD(sound.encode()))
    names = [_text(row.get("custom_id")) for row in _objects([told])]
    return Answer("".join(names), None, error=f"a result line that cannot be read: {error}")


def _row(line: bytes, told: _LineOdd) -> Answer:
    name, kind, result = told.custom_id, told.result.type or "", told.result
    match kind:
        case "succeeded":
            return _answered(name, line, result.message)
        case "errored":
            problem = read_problem(result.error)
            return Answer(name, problem.word(), line=line, error=str(problem) or "errored, without a reason")
        case "canceled":
            return Answer(name, Word.CANCELED, line=line, error="canceled before it was processed")
        case "expired":
            return Answer(name, Word.EXPIRED, line=line, error="not processed within 24 hours")
        case _ if bytes(result.message) != b"null":
            return _answered(name, line, result.message)
        case _:  # only succeeded rows are billed, so asking again is safe
            return Answer(name, Word.SERVER_ERROR, line=line, error=f"unknown result type {kind!r}")


def _joined(content: list[_Block]) -> str:
    return "".join([block.text for block in content if block.type == "text" and block.text])


def _answered(custom_id: str, line: bytes, message: msgspec.Raw) -> Answer:
    """Reads a message that was answered, field by field: it is billed, whatever we think of it."""
    (told,) = _objects([msgspec.json.decode(message)]) or [_NOTHING]
    text = _said(told)
    if text is None:
        return Answer(custom_id, None, line=line, error="a succeeded row whose message cannot be read")
    reason = _text(told.get("stop_reason"))
    usage = _odd_usage(told.get("usage"))
    return Answer(custom_id, stop_word(reason), _text(told.get("model")), text, line, usage, reason)


def _said(message: Mapping[str, Any]) -> str | None:
    """Reads what was said; None where the message is none. Some servers leave out what is null, or send a plain text."""
    content = message.get("content")
    if isinstance(content, list):
        blocks = _objects(message["content"])
        return "".join([_text(block.get("text")) for block in blocks if block.get("type") == "text"])
    if not message.keys() & {"stop_reason", "usage"} or not isinstance(content, str | None):
        return None
    return content or ""


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
