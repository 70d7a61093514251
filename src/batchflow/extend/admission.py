"""Who may be loaded: lists of names that are allowed or denied, by a job file or by whoever runs the machine."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import msgspec

from batchflow.extend.offers import Origin


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """One authority's word on plugins. A plugin goes by its own name and by its distribution's."""

    allow: AbstractSet[str] | None = None
    """None allows everybody."""
    deny: AbstractSet[str] = frozenset()
    said: str = ""
    """Where it is written, for people."""

    def refusal(self, origin: Origin) -> str:
        """Say why a plugin may not be loaded; empty where it may."""
        names = {origin.plugin, origin.distribution} - {""}
        by = f" by {self.said}" if self.said else ""
        if names & self.deny:
            return f"it is denied{by}"
        if self.allow is not None and not self.allow:
            return f"no plugin is allowed{by}"
        if self.allow is not None and not names & self.allow:
            return f"it is not among the allowed{by}"
        return ""


def refusal(admissions: Iterable[Admission], origin: Origin) -> str:
    """Give the first reason why a plugin may not be loaded."""
    return next((why for one in admissions if (why := one.refusal(origin))), "")
