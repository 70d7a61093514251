"""What somebody who looked at a job found wrong with it."""

from typing import TypeAlias

import msgspec

Path: TypeAlias = tuple[str | int, ...]
"""A place in a job: the keys and list positions that lead to it, from the job downwards."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong. A warning is worth saying and stops nobody."""

    message: str
    path: Path = ()
    hint: str = ""
    warning: bool = False
    at_key: bool = False
    """The key is wrong, rather than its value."""
    plugin: bool = False
    """A plugin is broken, or was not loaded, rather than the job wrong: other jobs can run."""
