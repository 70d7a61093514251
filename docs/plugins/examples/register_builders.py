"""A request builder. In a job file: `request: {type: translate, into: Latin, model: claude-haiku-4-5}`."""

from collections.abc import Mapping
from typing import Annotated, Any

from batchflow import Plugins
from batchflow.plugin import Doc, Record, Register, Skip, hookimpl


class Translate:
    """Asks for a translation of the column `text`. What is empty is passed over, and costs nothing."""

    def __init__(self, into: str, model: str) -> None:
        self._into = into
        self._model = model

    def build(self, record: Record) -> Mapping[str, Any] | Skip:
        if not record.data["text"]:
            return Skip("there is nothing to translate")
        prompt = f"Translate into {self._into}:\n\n{record.data['text']}"
        return {"model": self._model, "max_tokens": 500, "messages": [{"role": "user", "content": prompt}]}


def translate(
    *,
    into: Annotated[str, Doc("The language.")],
    model: Annotated[str, Doc("The model to ask.")],
) -> Translate:
    """Translate one column."""
    return Translate(into, model)


class House:
    @hookimpl
    def register_builders(self, register: Register) -> None:
        register("translate", translate)


builder = Plugins([House()]).builder("translate")(into="Latin", model="claude-haiku-4-5")
assert builder.build(Record("a", {"text": ""}, "in:1")) == Skip("there is nothing to translate")
assert isinstance(builder.build(Record("b", {"text": "A dog."}, "in:2")), Mapping)
