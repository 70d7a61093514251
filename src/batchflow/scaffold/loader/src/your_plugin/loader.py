"""A loader: gives the text that `{load: your_part, name: ...}` stands for. Put your own registry of prompts here."""

from pathlib import Path
from typing import Annotated

from batchflow.plugin import Doc, Given


def loader(
    *,
    name: Annotated[str, Doc("The prompt's name: that of its file in `prompts`, without `.md`.")],
    base: Annotated[Path, Given()],
) -> str:
    """Read a prompt from the folder `prompts` beside the job file."""
    folder = base / "prompts"
    known = sorted(path.stem for path in folder.glob("*.md"))
    if name not in known:
        raise ValueError(f"there is no prompt {name!r} in {folder}; known: {', '.join(known) or 'none'}")
    return (folder / f"{name}.md").read_bytes().decode("utf-8")
