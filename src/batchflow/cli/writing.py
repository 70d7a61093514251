"""Files that a command writes for a person to go on with. Nothing that is there is ever overwritten."""

import sys
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

from batchflow.model.errors import RunRefused


def texts(folder: Traversable, at: Path = Path()) -> dict[Path, str]:
    """Read every file of a folder in the package, with what installers leave beside them passed over."""
    found: dict[Path, str] = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found |= texts(entry, at / entry.name) if entry.name != "__pycache__" else {}
        else:
            found[at / entry.name] = entry.read_text(encoding="utf-8")
    return found


def write_new(folder: Path, files: Mapping[Path, str], *, instead: str) -> None:
    """Write files that are not there yet, and say so; or write none of them."""
    taken = [str(folder / name) for name in files if (folder / name).exists()]
    if taken:
        raise RunRefused(f"{', '.join(taken)} would be overwritten; nothing was written", hint=instead)
    for name, text in files.items():
        _write(folder / name, text)
        sys.stderr.write(f"wrote {folder / name}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
