"""A loader: prompts from a git repository, at a tag, so that a run can be traced to the words that were approved."""

import subprocess
from pathlib import Path
from typing import Annotated

from batchflow.plugin import Doc, Register, hookimpl


def prompt(
    *,
    repository: Annotated[Path, Doc("The clone to read from; what lies in its folder does not matter.")],
    path: Annotated[str, Doc("The file, from the top of the repository.")],
    tag: Annotated[str, Doc("The tag to read it at. Branches move, so they are refused.")],
) -> str:
    """A prompt as it was tagged."""
    words = ["git", "-C", str(repository), "cat-file", "blob", f"refs/tags/{tag}:{path}"]
    shown = subprocess.run(words, capture_output=True, check=False)  # noqa: S603 - a list of words, and no shell
    if shown.returncode:
        raise ValueError(f"no {path} at tag {tag} of {repository}: {shown.stderr.decode(errors='replace').strip()}")
    return shown.stdout.decode()  # as bytes until here: nobody shall change its line ends


@hookimpl
def register_loaders(register: Register) -> None:
    """Hand over the loader."""
    register("prompt", prompt)
