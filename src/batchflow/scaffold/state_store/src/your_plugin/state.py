"""A state store: keeps runs in an SQLite file. It begins as the built-in one; put your own methods in its place."""

from pathlib import Path
from typing import Annotated, Any

from batchflow import Plugins
from batchflow.plugin import Clock, Doc, Given, StateStore


def state(
    *,
    path: Annotated[Path, Doc("The SQLite file; it is made if missing.")],
    clock: Annotated[Clock | None, Given()] = None,
) -> StateStore:
    """Keep runs in an SQLite file."""
    sqlite: Any = Plugins(entry_points=False).state_store("sqlite")
    return sqlite(path=path, clock=clock)
