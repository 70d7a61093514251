"""`batchflow init [FOLDER]`: write a job file that runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def init(folder: Annotated[Path, Parameter(help="Where to write it; the folder is made if missing.")] = Path()) -> int:
    """Write a small job that runs as it stands, to be changed into your own. Nothing is ever overwritten."""
    from batchflow.cli.init import init as write

    return write(folder)
