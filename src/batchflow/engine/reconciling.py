"""Ruling on batches in doubt where no driver is alive: under the run's lease, and nothing is sent."""

from collections.abc import Sequence

from batchflow.engine.aside import aside
from batchflow.engine.lease import DriverLease
from batchflow.machine.ruling import Ruling
from batchflow.stages.evidence import Evidence
from batchflow.stages.kit import Kit
from batchflow.stages.reopen import doubt_dead_calls
from batchflow.stages.rule import Answer, rule


async def reconcile(kit: Kit, lease: DriverLease, rulings: Sequence[Ruling]) -> Answer:
    """Do what is said, look at all that is in doubt, and let go of the run again."""

    async def ruled() -> Answer:
        await doubt_dead_calls(kit)
        return await rule(kit, rulings, Evidence())

    return await aside(lease, ruled)
