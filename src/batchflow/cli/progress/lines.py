"""Progress where nobody sits: a line for every change, with the time in front, fit for a log file."""

from collections.abc import Sequence
from datetime import datetime

from batchflow.cli.output import remark
from batchflow.cli.progress.words import ROUTINE, sentence
from batchflow.model.state import Event
from batchflow.reports.pulse import Pulse


class Lines:
    """Writes lines."""

    every = None

    def event(self, job: str, event: Event) -> None:
        """Write an event down, unless it is mere routine."""
        if event.kind not in ROUTINE:
            self.say(f"{job}: {sentence(event)}")

    def show(self, pulses: Sequence[Pulse]) -> None:
        """Write nothing: what has changed was told by events."""

    def say(self, text: str) -> None:
        """Write a line."""
        remark(f"{datetime.now().astimezone():%H:%M:%S} {text}")

    def close(self) -> None:
        """Leave the log as it is."""
