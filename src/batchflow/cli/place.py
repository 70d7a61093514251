"""Where the state of runs is kept: said on the command line, in the environment, in the job file, or found."""

import os
from pathlib import Path

from batchflow.cli.output import remark
from batchflow.model.errors import UserError

NAME = ".batchflow"
DATABASE = "state.db"
OBJECTS = "objects"
STORES = "stores.json"
"""Where a folder remembers stores that are not in it."""
HOME = "BATCHFLOW_HOME"


def beside(file: Path, *, asked: Path | None, written: Path | None) -> Path:
    """Choose the folder for the runs of a job file; `written` is what the file itself says."""
    home = os.environ.get(HOME)
    return asked or (Path(home) if home else None) or written or file.absolute().parent / NAME


def found(asked: Path | None) -> Path:
    """Find the folder to look into, upward from here, and say on standard error which it is."""
    home = os.environ.get(HOME)
    chosen = asked or (Path(home) if home else None) or _upward()
    if not is_place(chosen):
        raise UserError(
            f"there are no runs in {chosen}: it holds no {DATABASE}",
            hint="`batchflow run` makes one; `--state FOLDER` or BATCHFLOW_HOME names another",
        )
    remark(f"reading {_shown(chosen)}")
    return chosen


def moved_to(file: Path, place: Path) -> Path:
    """Give the job file of a run: where it was, or under its name beside the state folder, which was moved with it."""
    here = place.absolute().parent / file.name
    return here if not is_there(file) and here.is_file() else file


def is_there(path: Path) -> bool:
    """Tell whether a file is there; one that cannot be looked at is not known to be gone."""
    try:
        return path.exists()
    except OSError:
        return True


def is_place(folder: Path) -> bool:
    """Tell whether runs were kept in a folder, or through it."""
    return (folder / DATABASE).is_file() or (folder / STORES).is_file()


def _upward() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if is_place(folder / NAME):
            return folder / NAME
    raise UserError(
        f"there is no {NAME} folder in {here} or above it, so there are no runs to look at",
        hint="go to the folder of your job file, or say where with `--state FOLDER`",
    )


def _shown(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)
