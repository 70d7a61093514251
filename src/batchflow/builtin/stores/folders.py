"""Folders that nobody else should look into, and names in them that survive a power cut."""

from pathlib import Path

from batchflow.builtin.disk import sync_folder


def private_folder(path: Path) -> None:
    """Makes a folder for its owner's eyes only. One that exists already is somebody's choice and stays as it is.

    The topmost folder made here keeps itself out of git. Never one that we did not make: it could be the project's own.
    """
    made = make_folders(path)
    if made:
        (made[0] / ".gitignore").write_text("*\n")


def make_folders(path: Path) -> list[Path]:
    """Makes what is missing, topmost first, and tells what it made."""
    made: list[Path] = []
    for folder in reversed((path, *path.parents)):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)  # another process may have come first, with the same intent
            sync_folder(folder.parent)
            made.append(folder)
    return made
