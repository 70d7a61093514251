"""How a request to Anthropic's Messages API is changed for another try.

    {"max_tokens": {"factor": 2.0, "ceiling": 2000}}    a larger cap, never above the ceiling
    {"say": ["$.severity: ..."]}                        the answer's text, and a user turn that says what is wrong with it
    {"continue": true}                                  the answer's content as received: the model goes on from there
    {"set": {"model": "..."}}                           parameters laid over the request, deep for maps

What a change does not name stays as it is, byte for byte: values that are not touched are never decoded. The messages
never end with words put into the model's mouth: newer models refuse such prefills, save for `continue`, which is how
the API wants a paused turn to go on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from batchflow.ports.builder import BuildError

Params: TypeAlias = dict[str, msgspec.Raw]


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Message(msgspec.Struct):
    content: list[msgspec.Raw] | None = None


class _Outcome(msgspec.Struct):
    message: _Message | None = None


class _Line(msgspec.Struct):
    result: _Outcome | None = None


_decode_params = msgspec.json.Decoder(Params).decode
_decode_line = msgspec.json.Decoder(_Line).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_turns = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def amend(params: bytes, change: Mapping[str, Any], answer: bytes) -> bytes:
    """Makes the next attempt's parameters. Raises `BuildError` where the change cannot make a different request."""
    if unknown := change.keys() - _CHANGES.keys():
        raise ValueError(
            f"a retry policy asked for the change {min(unknown)!r}; Anthropic requests can be changed by {', '.join(_CHANGES)}"
        )
    if not change:
        return params
    amended = _decode_params(params)
    for name, wish in change.items():
        _CHANGES[name](amended, wish, answer)
    return _encode(amended)


def _enlarge(params: Params, wish: Mapping[str, Any], _answer: bytes) -> None:
    before = int(bytes(params["max_tokens"]))
    after = min(int(before * wish["factor"]), wish["ceiling"])
    if after <= before:
        raise BuildError(
            f"the answer was cut at max_tokens {before}, and the ceiling for another try is {wish['ceiling']}"
        )
    params["max_tokens"] = _raw(after)


def _say(params: Params, reasons: Sequence[str], answer: bytes) -> None:
    spoken = "".join(block.text or "" for block in map(_decode_block, _content(answer)) if block.type == "text")
    turns = [{"role": "assistant", "content": spoken.rstrip()}] if spoken.strip() else []
    _append(params, *turns, {"role": "user", "content": _objection(reasons)})


def _objection(reasons: Sequence[str]) -> str:
    listed = "\n".join(f"- {reason}" for reason in reasons)
    return f"That answer cannot be used:\n{listed}\nAnswer the request again, in full, with this put right."


def _continue(params: Params, _wish: bool, answer: bytes) -> None:  # noqa: FBT001 # all changes are called alike
    content = _content(answer)
    if not content:
        raise BuildError("the paused answer has no content to go on from")
    _append(params, {"role": "assistant", "content": content})


def _set(params: Params, wishes: Mapping[str, Any], _answer: bytes) -> None:
    _lay_over(params, wishes)


def _lay_over(params: Params, wishes: Mapping[str, Any]) -> None:
    for name, wish in wishes.items():
        params[name] = _laid_over(params.get(name), wish)


def _laid_over(value: msgspec.Raw | None, wish: Any) -> msgspec.Raw:
    """Merges a wish into a value where both are maps; anything else is replaced."""
    if value is None or not isinstance(wish, Mapping) or not bytes(value).startswith(b"{"):
        return _raw(wish)
    members = _decode_params(value)
    _lay_over(members, wish)  # pyright: ignore[reportUnknownArgumentType]  # JSON holds anything
    return _raw(members)


def _append(params: Params, *turns: dict[str, Any]) -> None:
    params["messages"] = _raw([*_decode_turns(params["messages"]), *turns])


def _content(answer: bytes) -> list[msgspec.Raw]:
    line = _decode_line(answer)
    message = line.result.message if line.result else None
    return (message.content or []) if message else []


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


_CHANGES: Mapping[str, Callable[[Params, Any, bytes], None]] = {
    "max_tokens": _enlarge,
    "say": _say,
    "continue": _continue,
    "set": _set,
}
