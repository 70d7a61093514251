"""A job as it was written down when its run began, read back as far as reports need it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from batchflow.extend.quantities import nano


class ShownSink(msgspec.Struct, frozen=True):
    """A sink of the job."""

    type: str = ""
    name: str | None = None
    on: Literal["ok", "dead", "all"] = "ok"
    path: str | None = None
    url: str | None = None
    table: str | None = None

    @property
    def where(self) -> str:
        """Say where it writes."""
        table = f", table {self.table}" if self.table else ""
        rows = f" ({self.on} rows)" if self.on != "ok" else ""
        return f"{self.path or self._address or self.type}{table}{rows}"

    @property
    def _address(self) -> str:
        """Give its address, unless that is a secret; where there is none to show, its name tells it from others of its type."""
        if self.url and "*" not in self.url:
            return self.url
        return f"{self.type} ({self.name})" if self.name and self.name != self.type else ""


class ShownBudget(msgspec.Struct, frozen=True):
    """What may be spent."""

    run: str | int | float


class ShownProvider(msgspec.Struct, frozen=True):
    """Who was asked."""

    type: str = "anthropic"


class Shown(msgspec.Struct, frozen=True):
    """The parts of a job that reports speak of. A job declared in code has none of them written down."""

    sinks: tuple[ShownSink, ...] = ()
    budget: ShownBudget | None = None
    provider: ShownProvider = ShownProvider()

    @property
    def limit(self) -> int | None:
        """Give the budget in nano-dollars."""
        return nano(self.budget.run) if self.budget else None

    def named(self) -> dict[str, ShownSink]:
        """Give every sink under the name that deliveries know it by."""
        seen: Counter[str] = Counter()
        sinks: dict[str, ShownSink] = {}
        for sink in self.sinks:
            seen[sink.type] += 1
            number = f"-{seen[sink.type]}" if seen[sink.type] > 1 else ""
            sinks[sink.name or f"{sink.type}{number}"] = sink
        return sinks


def shown(summary: Mapping[str, Any]) -> Shown:
    """Read a summary; one of another shape tells nothing."""
    try:
        return msgspec.convert(summary, Shown)
    except msgspec.ValidationError:
        return Shown()
