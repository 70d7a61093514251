"""Which sinks a batch's rows go to."""

from collections.abc import Sequence

from batchflow.model.change import Put
from batchflow.model.state import Batch, Delivery
from batchflow.stages.kit import Kit, On, Outlet


def wanted(on: On, *, good: int, dead: int) -> int:
    """Count the rows that a sink sees."""
    return {"ok": good, "dead": dead, "all": good + dead}[on]


def deliveries(
    kit: Kit, batch: Batch, *, good: int, dead: int, generation: int = 0, outlets: Sequence[Outlet] | None = None
) -> list[Put]:
    """Make the deliveries of a batch: one for each sink (of these) that sees any of its rows."""
    return [
        Put(
            Delivery(
                id=f"{kit.run}/{batch.id}/{outlet.name}/{generation}",
                run=kit.run,
                batch=batch.id,
                sink=outlet.name,
                generation=generation,
                rows=rows,
                wake_at=kit.now(),
            )
        )
        for outlet in (kit.parts.outlets if outlets is None else outlets)
        if (rows := wanted(outlet.on, good=good, dead=dead))
    ]
