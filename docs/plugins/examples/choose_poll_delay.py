"""Batches that are hours old are looked at every ten minutes, where a minute is usual; None leaves younger ones to others."""

from batchflow import Plugins
from batchflow.plugin import hookimpl


class House:
    @hookimpl
    def choose_poll_delay(self, age: float) -> float | None:
        return 600.0 if age > 7200 else None


plugins = Plugins([House()])
assert plugins.choose_poll_delay(age=9000, default=60) == 600
assert plugins.choose_poll_delay(age=30, default=3) == 3
