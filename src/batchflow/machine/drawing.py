"""Draws the tables: the page `docs/reference/state-machine.md` is made of them, so that it cannot say anything else.

To make it anew: `python -c "from batchflow.machine.drawing import page; print(page(), end='')"`.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from batchflow.machine import batch, run
from batchflow.model.state import BatchState, RunState

_HEAD = """# The state machine

Made from `batchflow.machine.batch.TABLE` and `batchflow.machine.run.TABLE`; a test fails when this page and they differ.
An arrow bears the name of the event, and every event is explained where it is defined.
"""


def page() -> str:
    """Write the whole page."""
    parts = [
        _HEAD,
        "## The life of a batch",
        mermaid(BatchState, batch_arrows(), first=BatchState.DRAFTED, ends=batch.TERMINAL),
        "## The life of a run",
        mermaid(RunState, run_arrows(), first=RunState.RUNNING),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def batch_arrows() -> dict[tuple[str, str], list[str]]:
    """List the events of each pair of batch states."""
    return _arrows((state, target, event) for state, row in batch.TABLE.items() for event, target in row.items())


def run_arrows() -> dict[tuple[str, str], list[str]]:
    """List the events of each pair of run states."""
    return _arrows(
        (state, target, event)
        for state, row in run.TABLE.items()
        for event, targets in row.items()
        for target in RunState
        if target in targets
    )


def mermaid(
    states: type[StrEnum],
    arrows: Mapping[tuple[str, str], list[str]],
    *,
    first: StrEnum,
    ends: Collection[StrEnum] = (),
) -> str:
    """Draw arrows as GitHub shows them; where nothing more happens by itself, one leads to the end."""
    lines = [f"    {origin} --> {target}: {', '.join(events)}" for (origin, target), events in arrows.items()]
    last = [f"    {state} --> [*]" for state in states if state in ends]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *lines, *last, "```"])


def _arrows(triples: Iterable[tuple[str, str, type[object]]]) -> dict[tuple[str, str], list[str]]:
    arrows: dict[tuple[str, str], list[str]] = {}
    for origin, target, event in triples:
        arrows.setdefault((str(origin), str(target)), []).append(event.__name__)
    return arrows
