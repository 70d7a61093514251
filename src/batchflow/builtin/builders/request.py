"""From a job's `request:` to a tree of values and slots: which of its texts are templates, and what goes where.

Templates are allowed in `model`, `max_tokens`, `system`, `prompt` and the texts of `messages` (the keys `text`,
`content` and `data` of a turn or block). In tools, schemas and stop sequences a `{{` is
just two characters; anywhere else `problems` refuses it, for it would be sent as it stands.
Keys that every record shares come first and the messages last, so that most of a request is one constant run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchflow.builtin.builders.attachment import Attached, Attachment
from batchflow.builtin.builders.environment import Environment
from batchflow.builtin.builders.files import data_of, is_elsewhere, text_of
from batchflow.builtin.builders.shapes import is_list, is_map
from batchflow.builtin.builders.text import Number, Text

SPOKEN = frozenset({"text", "content", "data"})
TOOL_INPUT = "input"
"""What a model once called a tool with: no text, whatever its keys are called."""


class Writer:
    """Turns texts into templates, and remembers each one it made."""

    def __init__(self, *, environment: Environment, base: Path) -> None:
        self.texts: list[Text] = []
        self._environment = environment
        self._base = base

    def text(self, value: Any, where: str) -> Text | str:
        """Makes a text of its own: a template or, where no record can change it, the text itself."""
        return self._settled(
            self._template(text_of(value, where=where, base=self._base), where, blank=where == "system")
        )

    def _template(self, source: str, where: str, *, blank: bool = False) -> Text:
        made = Text(source, where=where, environment=self._environment, blank=blank)
        self.texts.append(made)
        return made

    def _settled(self, made: Text) -> Text | str:
        constant = made.constant
        return made if constant is None or made.is_empty else constant

    def number(self, value: int | str, where: str) -> Number | int:
        """Makes a number that a template may write, or the number itself where no record can change it."""
        if isinstance(value, int):
            return value
        made = self._template(text_of(value, where=where, base=self._base), where)
        written = (made.constant or "").strip()
        return int(written) if written.isascii() and written.isdigit() else Number(made)

    def system(self, value: Any) -> Any:
        """Reads `system`: a text, a file, or a list of blocks."""
        return self.spoken(value, "system") if isinstance(value, list) else self.text(value, "system")

    def messages(self, value: Any) -> list[dict[str, Any]]:
        """Reads `messages`: a list of turns, inline or in a file."""
        turns = data_of(value, where="messages", base=self._base)
        if not (is_list(turns) and turns and all(map(is_turn, turns))):
            raise ValueError("messages must be a list of turns, each with `role` and `content`")
        return self.spoken(turns, "messages")

    def spoken(self, value: Any, where: str) -> Any:
        """Walks through turns and blocks, making their texts templates."""
        if is_list(value):
            return [self.spoken(item, f"{where}[{place}]") for place, item in enumerate(value)]
        if is_map(value):
            return {key: self._member(value, key, f"{where}.{key}") for key in value}
        return value

    def _member(self, block: dict[str, Any], key: str, where: str) -> Any:
        value = block[key]
        if key == TOOL_INPUT:
            return value
        if key not in SPOKEN or not (isinstance(value, str) or is_elsewhere(value)):
            return self.spoken(value, where)
        source = value if isinstance(value, str) else text_of(value, where=where, base=self._base)
        return self._settled(self._template(source, where, blank=key != "text" and "role" not in block))


def is_turn(value: Any) -> bool:
    """Tells whether it is a turn of a conversation."""
    return is_map(value) and {"role", "content"} <= value.keys()


def conversation(
    turns: list[dict[str, Any]], prompt: Text | str | None, attachment: Attachment | None
) -> list[dict[str, Any]]:
    """Puts the prompt after the turns, and the record's file before the text of the last user turn."""
    spoken = [*turns, {"role": "user", "content": prompt}] if prompt is not None else turns
    if attachment is None:
        return spoken
    last = max((place for place, turn in enumerate(spoken) if turn["role"] == "user"), default=None)
    if last is None:
        raise ValueError("attach needs a user turn: give a prompt, or a turn with role user")
    content = spoken[last]["content"]
    blocks = content if is_list(content) else [{"type": "text", "text": content}]
    return [*spoken[:last], {**spoken[last], "content": Attached(attachment, blocks)}, *spoken[last + 1 :]]


def output_config(given: Any, schema: Any) -> dict[str, Any]:
    """Adds the output schema to whatever else the job says about its output."""
    if given is not None and not isinstance(given, Mapping):
        raise ValueError("output_config must be a map")
    if given and "format" in given:
        raise ValueError(
            "output and output_config.format both give an output schema; keep one of them (output is also checked on return)"
        )
    return {**(given or {}), "format": {"type": "json_schema", "schema": schema}}
