"""Error bodies, of whole calls and of single rows: what type, code and sentence they hold.

The documented shape nests twice (`{"type":"error","error":{"type":...}}`); older servers send it flat, some frameworks
under another name, proxies send a web page, and some send nothing.
"""

import re
from typing import Any, cast

import msgspec

from batchflow.machine.outcome import error_word
from batchflow.model.words import Word

_EXCERPT = 300
_MARKUP = re.compile(r"<[^>]*>|\s+")


class Problem(msgspec.Struct, frozen=True, gc=False):
    """One error as a server told it; empty fields were not told."""

    type: str = ""
    message: str = ""
    code: str = ""

    def word(self, status: int | None = None) -> Word:
        """The outcome word it stands for."""
        return error_word(status=status, type=self.type, code=self.code, message=self.message)

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.type and self.message else self.type or self.message


def read_problem(body: bytes | msgspec.Raw) -> Problem:
    """Reads an error body; one that is not JSON is quoted."""
    try:
        told = msgspec.json.decode(body)
    except ValueError:
        return Problem(message=_excerpt(bytes(body).decode(errors="replace")))
    told = _object(told) or {"message": told}
    while inner := _object(told.get("error")):
        told = inner
    code = (_object(told.get("details")) or {}).get("error_code")
    message = _text(told.get("message") or told.get("error")) or _excerpt(_told_otherwise(told))
    return Problem(type=_text(told.get("type")), message=message, code=_text(code))


def _told_otherwise(told: dict[str, Any]) -> str:
    """Quotes what a server says under names of its own (`detail`, `errors`); nothing where it only gives a type."""
    rest = {name: value for name, value in told.items() if name not in {"type", "error", "message", "request_id"}}
    return msgspec.json.encode(rest).decode() if any(rest.values()) else ""


def _object(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _excerpt(page: str) -> str:
    return _MARKUP.sub(" ", page[: 4 * _EXCERPT]).strip()[:_EXCERPT]
