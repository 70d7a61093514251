"""Prompts out of one Markdown file. In a job file: `prompt: {load: handbook, path: prompts.md, section: Triage}`."""

from pathlib import Path
from typing import Annotated

from batchflow import Plugins
from batchflow.plugin import Doc, Register, hookimpl


def handbook(
    *,
    path: Annotated[Path, Doc("The file.")],
    section: Annotated[str, Doc("The heading that the prompt stands under.")],
) -> str:
    """Give the text under one heading. A `ValueError` is told where the job file asks for it."""
    sections = path.read_text(encoding="utf-8").split("\n# ")
    for one in sections:
        heading, _, text = one.removeprefix("# ").partition("\n")
        if heading == section:
            return text.strip()
    raise ValueError(f"{path} has no section {section!r}")


class House:
    @hookimpl
    def register_loaders(self, register: Register) -> None:
        register("handbook", handbook)


Path("prompts.md").write_text("# Triage\nWhich team? {{ text }}\n\n# Summary\nIn one sentence: {{ text }}\n")
load = Plugins([House()]).loader("handbook")
assert load(path=Path("prompts.md"), section="Triage") == "Which team? {{ text }}"
