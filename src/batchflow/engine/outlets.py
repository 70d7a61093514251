"""A run's sinks: all of them open, and none in the way of what is needed, before any money is spent."""

from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

from batchflow.engine.unready import Unready
from batchflow.model import errors
from batchflow.model.state import Delivery, DeliveryState, Run
from batchflow.model.state import Outlet as LastReceipt
from batchflow.ports.sink import Promise, SinkContext
from batchflow.stages.asked import asked, let_go, where_of
from batchflow.stages.kit import Kit, Outlet
from batchflow.stages.overlap import Written, covered_by, needed_in, overlaps, targets_of
from batchflow.stages.wall import misgiven, of_job


async def open_sinks(kit: Kit, stack: AsyncExitStack, folder: Path, *, bear: bool, anew: str = "") -> list[Outlet]:
    """Open every sink before any money is spent, the one called `anew` as in a new run; none that would write over what is needed."""
    refusals = await _overlaps(kit, folder, bear=bear)
    if not bear and (wrong := next(filter(None, refusals), None)):
        raise wrong
    opened: list[Outlet] = []
    for outlet, refusal in zip(kit.parts.outlets, refusals, strict=True):
        if refusal:
            opened.append(replace(outlet, sink=Unready(outlet.sink, refusal)))
            continue
        last = await kit.store.get(LastReceipt, f"{kit.run}/{outlet.name}")
        known = last.receipt if last is not None and outlet.name != anew else None
        context = SinkContext(run=kit.run, job=kit.parts.name, sink=outlet.name, fresh=known is None)
        sink, within = outlet.sink, kit.parts.rules.plugin_timeout
        if sink.promise not in get_args(Promise):
            raise of_job(kit.parts.name, misgiven(sink, "as its promise", sink.promise, f"one of {get_args(Promise)}"))
        stack.push_async_callback(partial(let_go, sink, "when it was closed", sink.close, within=within))
        try:
            make_ready = partial(sink.open, context, known)
            await asked(sink, "when it was opened", make_ready, within=within, where=where_of(sink))
        except (errors.SinkError, errors.PluginError) as error:
            if bear:
                opened.append(replace(outlet, sink=Unready(sink, error)))
                continue
            if isinstance(error, errors.PluginError):
                raise of_job(kit.parts.name, error) from error
            if await kit.store.get(Run, kit.run) is not None:
                raise
            raise errors.SinkUnready(f"{error.message} Nothing was sent.", hint=error.hint) from error
        opened.append(outlet)
    return opened


async def _overlaps(kit: Kit, folder: Path, *, bear: bool) -> list[errors.SinkUnready | errors.PluginError | None]:
    """Say of each sink whether it would write over what is needed. The source is looked at when a run begins."""
    within = kit.parts.rules.plugin_timeout
    written: list[Written] = []
    silent: dict[str, errors.PluginError] = {}
    for outlet in kit.parts.outlets:
        try:
            written.append(Written(outlet.name, await targets_of(outlet.sink, within=within) or ()))
        except errors.PluginError as error:
            if not bear:
                raise of_job(kit.parts.name, error) from error
            silent[outlet.name] = error
            written.append(Written(outlet.name, ()))
    is_new = await kit.store.get(Run, kit.run) is None
    targets = [target for one in written for target in one.targets]
    try:
        covered = await covered_by(kit.parts.source, targets, within=within) if is_new and targets else ()
    except errors.PluginError as error:
        raise of_job(kit.parts.name, error) from error
    found = await overlaps(written, covered or (), needed_in(folder, Path.cwd()))
    return [
        errors.SinkUnready(f"{over.message}. Nothing was touched.", hint=over.hint) if over else silent.get(one.name)
        for one, over in zip(written, found, strict=True)
    ]


async def refuse_missing_sinks(kit: Kit) -> None:
    """Parts that wait for a sink which the job has no longer would wait for ever."""
    names = {outlet.name for outlet in kit.parts.outlets}
    open_parts = {"run": kit.run, "state": (DeliveryState.DUE, DeliveryState.PARKED)}
    for part in await kit.store.find(Delivery, open_parts):
        if part.sink not in names:
            raise errors.RunRefused(
                f"run {kit.run[:16]} still has results for sink {part.sink}, which the job does not have any more. They are safe",
                hint=f"put a sink called `{part.sink}` back into the job and run it again",
            )
