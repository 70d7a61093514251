"""Keep the last thing that was heard of each job. A call over the network may stand here, too: nobody waits for it."""

from batchflow import Plugins
from batchflow.plugin import Event, hookimpl


class House:
    def __init__(self) -> None:
        self.last: dict[str, str] = {}

    @hookimpl
    def on_event(self, event: Event, job: str) -> None:
        self.last[job] = event.kind


house = House()
Plugins([house]).on_event(Event(id="e1", run="r1", at=0.0, kind="run.done"), job="triage")
assert house.last == {"triage": "run.done"}
