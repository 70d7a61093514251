"""Names of a public module that were renamed or retired: each goes on working for one version of the plugin API, with a warning."""

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import msgspec


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a name: where the thing itself is found, and what plugins call it now."""

    found: str
    """`module:attribute`, which may be anywhere in batchflow."""
    now: str = ""
    """Its name in the same module; empty where it was retired and nothing takes its place."""
    gone_in: int
    """The version of the plugin API that will not have the old name any more."""


def look_up(module: str, name: str, table: Mapping[str, Moved]) -> Any:
    """Give what an old name stood for and warn whoever imports it; called by that module's `__getattr__`, and by nobody else."""
    moved = table.get(name)
    if moved is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
    fate = f"is called {module}.{moved.now} now" if moved.now else "is retired, and nothing takes its place"
    warnings.warn(
        f"{module}.{name} {fate}: the old name goes with version {moved.gone_in} of the plugin API",
        DeprecationWarning,
        stacklevel=3,  # the line that imports it
    )
    home, _, attribute = moved.found.partition(":")
    return getattr(import_module(home), attribute)
