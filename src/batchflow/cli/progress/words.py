"""Events as sentences."""

from batchflow.model.state import Event
from batchflow.reports.runs import SHORT

ROUTINE = frozenset(
    {"batch.delivered", "batch.drafted", "notify.failed", "notify.told", "part.delivered", "run.dead_letters"}
)
"""What happens for every batch and is told by what follows it."""
NOTABLE = frozenset(
    {
        "batch.disowned", "batch.in_doubt", "batch.late", "batch.odd_lines", "batch.overdue", "batch.put_off", "batch.refused", "batch.results_unusable",
        "batch.twin", "batch.unpriced", "part.failed", "part.parked", "part.refused", "provider.failing", "provider.recovered",
        "records.duplicate", "run.resumed",
    }
)  # fmt: skip
"""What a person should see even where a panel shows everything else."""


def sentence(event: Event) -> str:
    """Say an event in one line."""
    thing, _, what = event.kind.partition(".")
    name = "" if "/" in event.subject or not event.subject else f" {event.subject[:SHORT]}"
    text = f": {_one_line(event.text)}" if event.text else ""
    return f"{thing}{name} {what.replace('_', ' ')}{text}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
