"""Which versions of the plugin API are spoken here, and what a plugin is told that was written for another.

The version is a number of its own: it rises when a name of `batchflow.plugin`, a hook or a contract changes so that a plugin
written before might break. Additions do not raise it.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import msgspec

API = 1
"""The version of the plugin API, for plugins to state: `batchflow_api = 1`."""
STATED = "batchflow_api"
FIRST_IN: Mapping[int, str] = {1: "0.1"}
"""The batchflow that first spoke each version."""


class Judgement(NamedTuple):
    """What follows from the version that a plugin states: why it is refused, or what a person should hear."""

    refusal: str = ""
    notice: str = ""


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that are spoken: the newest, and the one before it."""

    newest: int = API
    first_in: Mapping[int, str] = msgspec.field(default_factory=lambda: FIRST_IN)

    @property
    def oldest(self) -> int:
        """The oldest version that is still spoken."""
        return max(self.newest - 1, 1)

    def judge(self, plugin: object) -> Judgement:
        """Judge a plugin by what it states. One that states nothing is taken for as old as may be: it is let in, and not nagged."""
        stated: Any = getattr(plugin, STATED, None)
        if stated is None:
            return Judgement()
        if not isinstance(stated, int) or isinstance(stated, bool) or stated < 1:
            return Judgement(f"`{STATED}` should be a whole number from 1 to {self.newest}, and is {stated!r}")
        written = f"it was written for version {stated} of batchflow.plugin"
        here = f"batchflow-jobs {version('batchflow-jobs')}"
        if stated > self.newest:
            return Judgement(f"{written}, and {here} has version {self.newest}: it needs a newer batchflow-jobs")
        if stated < self.oldest:
            spoken = f"{here} speaks {self.oldest} and {self.newest}"
            return Judgement(f"{written}, and {spoken}: it needs batchflow-jobs<{self.first_in[stated + 2]}")
        if stated < self.newest:
            return Judgement(
                notice=f"{written}, and this is version {self.newest}: the next one will refuse it, so it should be brought up to date"
            )
        return Judgement()
