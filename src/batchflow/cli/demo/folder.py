"""The demo's folder: a job as a user would have written it, begun afresh each time."""

import shutil
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from batchflow.cli.demo.claims import as_csv, claims
from batchflow.model.errors import RunRefused

JOB_FILE = "batchflow.yaml"
MADE = (".batchflow", "out", "claims.db", "claims.db-wal", "claims.db-shm")
"""What an earlier demo has left besides the files that are written again."""


def lay_out(folder: Path) -> None:
    """Write the job, its prompts and its records. A folder that is not a demo's, or was changed, is left alone."""
    texts = dict(_texts(files("batchflow.cli.demo") / "files", Path()))
    texts[Path("claims.csv")] = as_csv(claims())
    if folder.exists():
        _refuse_what_is_not_ours(folder, texts)
        _clear(folder)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="")


def _refuse_what_is_not_ours(folder: Path, texts: Mapping[Path, str]) -> None:
    for name, text in texts.items():
        path = folder / name
        if not path.is_file() and any(folder.iterdir()):
            raise RunRefused(
                f"{folder} is there and is not the demo's: it has no {name}. Nothing in it was touched",
                hint="`batchflow demo --into ANOTHER_FOLDER`",
            )
        if path.is_file() and path.read_bytes() != text.encode():
            raise RunRefused(
                f"{path} was changed since the demo wrote it, and would be overwritten. Nothing was touched",
                hint=f"run what you changed with `batchflow run {folder / JOB_FILE}`, or `batchflow demo --into ANOTHER_FOLDER`",
            )


def _clear(folder: Path) -> None:
    for name in MADE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _texts(folder: Traversable, at: Path) -> Iterator[tuple[Path, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _texts(entry, at / entry.name)
        else:
            yield at / entry.name, entry.read_text(encoding="utf-8")
