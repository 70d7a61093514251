"""What the API is known to refuse in every row of a batch. Only what stands in the job as it is can be judged.

A row's refusal is seen when its batch has ended, so a systematic mistake costs hours. What is not listed here is the API's
to judge; nothing is changed or dropped.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from batchflow.builtin.builders.attachment import Attached
from batchflow.builtin.builders.shapes import is_list, is_map
from batchflow.builtin.builders.text import Number

STRICT_SINCE = "2026-10-21"
SAMPLING = ("temperature", "top_p", "top_k")
Tree: TypeAlias = Mapping[str, Any]


def refused_parameters(tree: Tree, version: str, *, own_model: bool = True) -> Iterator[str]:
    """Lists parameters that the API refuses in every row of a batch; `own_model` is False where records name another."""
    if version >= STRICT_SINCE:
        yield from _sampling(tree, version)
        yield from _turns(tree["messages"], version)
    for name, (is_refused, why) in _NOT_IN_BATCHES.items():
        if name in tree and is_refused(tree[name]):
            yield f"{name}: {why}; remove it"
    yield from _length(tree["max_tokens"])
    if own_model and (found := _MODEL.fullmatch(str(tree["model"]))):
        yield from _of_model(tree, f"{found[1]}", (int(found[2]), int(found[3] or 0)))


def _is_on(value: Any) -> bool:
    return value is not None and value is not False


def _is_given(value: Any) -> bool:
    return value is not None


_UNSUPPORTED = "batches do not support it"
_NOT_IN_BATCHES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "stream": (lambda value: value is not False, "batches cannot stream"),
    "speed": (_is_given, "batches have no fast mode"),
    "store": (_is_on, _UNSUPPORTED),
    "previous_thread_event_id": (_is_given, _UNSUPPORTED),
    "cache_hint": (_is_given, _UNSUPPORTED),
    "context_hint": (_is_given, _UNSUPPORTED),
    "research_preview_2026_02": (lambda value: value == "active", _UNSUPPORTED),
    "output_format": (
        lambda _value: True,
        "the API has it no longer: give the schema as `output`, or as output_config.format",
    ),
}


def _sampling(tree: Tree, version: str) -> Iterator[str]:
    for name in SAMPLING:
        if name in tree:
            yield f"{name}: API version {version} refuses it in every request, even at its default; remove it, or set the provider's version to 2023-06-01"


def _turns(messages: list[dict[str, Any]], version: str) -> Iterator[str]:
    for place, turn in enumerate(messages):
        for number, block in enumerate(_blocks(turn["content"])):
            where, kind = f"messages[{place}].content[{number}]", block.get("type")
            if kind == "document" and turn["role"] == "assistant":
                yield f"{where}: API version {version} refuses a document block in an assistant turn; move it to a user turn"
            if kind == "text" and turn["role"] == "user" and block.get("citations"):
                yield f"{where}.citations: API version {version} refuses citations on a text block of a user turn; remove them"


def _blocks(content: Any) -> list[dict[str, Any]]:
    """Gives the blocks a job wrote; an attached file comes before them."""
    if isinstance(content, Attached):
        content = content.blocks
    return [block if is_map(block) else {} for block in content] if is_list(content) else []


def _length(max_tokens: Any) -> Iterator[str]:
    if isinstance(max_tokens, Number):
        if (written := max_tokens.text.constant) is not None:
            yield f"max_tokens: {written!r} is no whole number"
    elif isinstance(max_tokens, bool) or max_tokens < 1:
        yield f"max_tokens: batches need a whole number of at least 1, not {max_tokens}"


_MODEL = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d)(?:-(\d))?(?:-\d{8})?")
"""A model whose generation its name tells. Of any other nothing is known."""
_ALWAYS_THINK = {("opus", (5, 5)), ("fable", (5, 0)), ("fable", (5, 1))}
_CHOOSE_TOOLS_FREELY = {("opus", (5, 5)), ("sonnet", (5, 5)), ("fable", (5, 1)), ("mythos", (5, 1))}


def _of_model(tree: Tree, line: str, generation: tuple[int, int]) -> Iterator[str]:
    model, kind = tree["model"], _type_of(tree.get("thinking"))
    always = line == "mythos" or (line, generation) in _ALWAYS_THINK
    too_new, too_old = kind == "enabled" and generation >= (4, 7), kind == "adaptive" and generation <= (4, 5)
    if too_new or too_old or (kind == "disabled" and always):
        yield f"thinking: {model} does not take the type {kind}"
    choice = _type_of(tree.get("tool_choice"))
    if choice in {"any", "tool"} and (line, generation) in _CHOOSE_TOOLS_FREELY:
        yield f"tool_choice: {model} does not take the type {choice}"
    if _is_given(tree.get("inference_geo")) and generation < (4, 6):
        yield f"inference_geo: {model} does not take it"
    last = len(tree["messages"]) - 1
    if tree["messages"][last]["role"] == "assistant" and generation >= (4, 6):
        yield f"messages[{last}]: {model} goes on with no answer that is begun for it; end with a user turn, or give a prompt"


def _type_of(value: Any) -> Any:
    return value.get("type") if is_map(value) else None
