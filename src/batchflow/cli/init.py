"""`batchflow init`: a small job that runs as it stands, to be changed into one's own."""

import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from batchflow.cli.exits import Exit
from batchflow.model.errors import RunRefused


def init(folder: Path) -> Exit:
    """Write the starter job into a folder. Nothing that is there is ever overwritten."""
    starter = dict(_texts(files("batchflow.cli") / "starter", Path()))
    taken = [str(folder / name) for name in starter if (folder / name).exists()]
    if taken:
        raise RunRefused(
            f"{', '.join(taken)} would be overwritten; nothing was written",
            hint="type `batchflow init ANOTHER_FOLDER`, or move the file away",
        )
    for name, text in starter.items():
        _write(folder / name, text)
        sys.stderr.write(f"wrote {folder / name}\n")
    at = "" if folder == Path() else f"cd {folder} && "
    sys.stdout.write(f"Next: {at}batchflow validate && batchflow run\n")
    return Exit.DELIVERED


def _texts(folder: Traversable, at: Path) -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += _texts(entry, at / entry.name)
        else:
            found.append((at / entry.name, entry.read_text(encoding="utf-8")))
    return found


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
