"""The whole of what is wrong with a job file, in one round: `validate` says it, and whatever else meets a mistake in one."""

from collections.abc import Mapping, Sequence
from typing import Any

from batchflow.config.build import make
from batchflow.config.check import check
from batchflow.config.load import Survey
from batchflow.extend.facade import Plugins
from batchflow.ports.prices import Prices
from batchflow.stages.overlap import Needed


async def look_into(
    read: Survey,
    *,
    plugins: Plugins,
    prices: Prices,
    given: Mapping[str, Any],
    notifiers: bool = True,
    kept: Sequence[Needed] = (),
) -> None:
    """Make and ask every part of every job that there is, whatever is wrong with the others; add what is wrong to its faults."""
    for job in read.drafts.values():
        parts = make(job, given, provider=True, notifiers=notifiers)
        problems = await check(job, parts, plugins=plugins, prices=prices, kept=kept)
        for fault in (*parts.refused, *map(job.fault, problems)):
            read.faults.add(fault)
