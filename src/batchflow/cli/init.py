"""`batchflow init`: a small job that runs as it stands, to be changed into one's own."""

import sys
from importlib.resources import files
from pathlib import Path

from batchflow.cli.exits import Exit
from batchflow.cli.writing import texts, write_new


def init(folder: Path) -> Exit:
    """Write the starter job into a folder. Nothing that is there is ever overwritten."""
    starter = texts(files("batchflow.cli") / "starter")
    write_new(folder, starter, instead="type `batchflow init ANOTHER_FOLDER`, or move the file away")
    at = "" if folder == Path() else f"cd {folder} && "
    sys.stdout.write(f"Next: {at}batchflow validate && batchflow run\n")
    return Exit.DELIVERED
