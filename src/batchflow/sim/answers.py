"""The content of answers, which depends on the params and the seed only.

The same request sent again, in another batch, under another custom_id, gets the same words, so a run that was broken
and mended can be compared byte for byte. `max_tokens` cuts an answer but does not change it: asked again with more
room, the same text goes on.
"""

import math
import re
from collections.abc import Callable

import msgspec

from batchflow.sim.draw import Draw, digest, token
from batchflow.sim.models import Model
from batchflow.sim.schemas import conforming
from batchflow.sim.shapes import Object, canonical, last_user_text, listing, mapping, objects

Answerer = Callable[[Object], str]
"""A function that writes the text of an answer itself, given the params."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_READ = 1000
_OPENINGS = ("In short:", "The main points:", "Briefly:", "What stands out:", "To sum up:")
_NOT_IN_THE_ANSWER = frozenset({"max_tokens", "metadata", "service_tier", "cache_control", "stop_sequences", "stream"})


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the model said and why it stopped."""

    identity: int
    content: list[Object]
    output_tokens: int
    stop_reason: str
    stop_sequence: str | None = None
    stop_details: Object | None = None


def identity_of(params: Object, seed: int) -> int:
    """The number all chance in an answer comes from."""
    asked = {key: value for key, value in params.items() if key not in _NOT_IN_THE_ANSWER}
    return digest(seed, canonical(asked))


def answer(params: Object, seed: int, write: Answerer | None = None) -> Answer:
    """What a healthy model answers."""
    identity = identity_of(params, seed)
    if tool := _forced_tool(params):
        return _tool_call(tool, params, identity)
    return _limited(_text(params, identity, write), params, identity)


def refusal(params: Object, seed: int) -> Answer:
    """An answer stopped by a classifier."""
    details = {"type": "refusal", "category": "general_harms", "explanation": "The request was declined."}
    return Answer(
        identity=identity_of(params, seed), content=[], output_tokens=1, stop_reason="refusal", stop_details=details
    )


def cut(params: Object, seed: int, write: Answerer | None, reason: str) -> Answer:
    """The first half of an answer, stopped for `reason` (max_tokens, pause_turn, model_context_window_exceeded)."""
    identity = identity_of(params, seed)
    text = _text(params, identity, write)
    half = text[: max(1, len(text) // 2)]
    return Answer(identity=identity, content=[_block(half)], output_tokens=tokens_in(len(half)), stop_reason=reason)


def not_json(params: Object, seed: int) -> Answer:
    """An answer that ends well but is not the JSON that was asked for."""
    text = '{"note": "this object is never closed", "value": '
    return Answer(
        identity=identity_of(params, seed),
        content=[_block(text)],
        output_tokens=tokens_in(len(text)),
        stop_reason="end_turn",
    )


def empty(params: Object, seed: int) -> Answer:
    """An answer without a word."""
    return Answer(identity=identity_of(params, seed), content=[], output_tokens=1, stop_reason="end_turn")


def tokens_in(characters: int) -> int:
    """A plausible number of tokens for so many characters."""
    return max(1, math.ceil(characters / 4))


def input_tokens(params: Object, model: Model | None = None) -> int:
    """A plausible number of input tokens; models from 4.7 on count about 30% more for the same text."""
    count = 8 + tokens_in(prompt_size(params))
    return count * 13 // 10 if model is not None and model.generation >= (4, 7) else count


def prompt_size(params: Object) -> int:
    """How many characters the model reads."""
    size = sum(content_size(message.get("content")) + 4 for message in objects(params.get("messages")))
    size += content_size(params.get("system"))
    if tools := params.get("tools"):
        size += len(msgspec.json.encode(tools))
    if output := params.get("output_config"):
        size += len(msgspec.json.encode(output))
    return size


def content_size(content: object) -> int:
    """The characters in a string or list of blocks; images and documents by a rough weight."""
    if isinstance(content, str):
        return len(content)
    return sum(block_size(block) for block in objects(content))


def block_size(block: Object) -> int:
    """The characters that one content block weighs."""
    match block.get("type"):
        case "text":
            text = block.get("text")
            return len(text) if isinstance(text, str) else 0
        case "image":
            return 6_000
        case "document":
            data = (mapping(block.get("source")) or {}).get("data")
            return len(data) // 8 if isinstance(data, str) else 8_000
        case "tool_result":
            return content_size(block.get("content"))
        case _:
            return len(msgspec.json.encode(block))


def _block(text: str) -> Object:
    return {"type": "text", "text": text}


def _text(params: Object, identity: int, write: Answerer | None) -> str:
    if write is not None:
        return write(params)
    draw = Draw(identity)
    words = _WORD.findall(last_user_text(params)[:_READ])
    output = mapping((mapping(params.get("output_config")) or {}).get("format")) or {}
    if output.get("type") == "json_schema":
        return msgspec.json.encode(conforming(output.get("schema"), draw, words)).decode()
    chosen = " ".join(words[draw.below(len(words))].lower() for _ in range(draw.between(6, 14))) if words else "noted"
    return f"{_OPENINGS[draw.below(len(_OPENINGS))]} {chosen}."


def _limited(text: str, params: Object, identity: int) -> Answer:
    stop = next(
        (mark for mark in listing(params.get("stop_sequences")) if isinstance(mark, str) and mark in text), None
    )
    if stop is not None:
        text = text[: text.index(stop)]
    count, limit = tokens_in(len(text)), params.get("max_tokens")
    if isinstance(limit, int) and count > limit:
        content = [_block(text[: limit * 4])] if limit else []
        return Answer(identity=identity, content=content, output_tokens=limit, stop_reason="max_tokens")
    return Answer(
        identity=identity,
        content=[_block(text)] if text else [],
        output_tokens=count,
        stop_reason="end_turn" if stop is None else "stop_sequence",
        stop_sequence=stop,
    )


def _forced_tool(params: Object) -> Object | None:
    choice = mapping(params.get("tool_choice")) or {}
    tools = [tool for tool in objects(params.get("tools")) if "input_schema" in tool]
    match choice.get("type"):
        case "any":
            return tools[0] if tools else None
        case "tool":
            return next((tool for tool in tools if tool.get("name") == choice.get("name")), None)
        case _:
            return None


def _tool_call(tool: Object, params: Object, identity: int) -> Answer:
    words = _WORD.findall(last_user_text(params)[:_READ])
    made = conforming(tool["input_schema"], Draw(identity), words)
    use = {"type": "tool_use", "id": f"toolu_01{token(identity)}", "name": tool.get("name"), "input": made}
    size = len(msgspec.json.encode(use))
    return Answer(identity=identity, content=[use], output_tokens=tokens_in(size), stop_reason="tool_use")
