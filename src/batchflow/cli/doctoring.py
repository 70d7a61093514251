"""The doctor: gathers findings from a state folder, says them by gravity, and mends what loses nothing."""

import socket
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec

from batchflow.cli.account import account_of
from batchflow.cli.exits import Exit
from batchflow.cli.figures import count, size
from batchflow.cli.looking import opened_store
from batchflow.cli.mending import Mending
from batchflow.cli.output import BOLD, RED, data, facts, remark, styled
from batchflow.cli.place import found
from batchflow.cli.stores import opened_objects
from batchflow.cli.wishes import driver_of
from batchflow.engine.lease import is_dead
from batchflow.model.state import Run
from batchflow.ports.blobs import BlobStore
from batchflow.ports.state import StateStore
from batchflow.reports.agreement import Looked, laws, objects, orphans, strangers, without_repair
from batchflow.reports.findings import Finding, Grade
from batchflow.reports.paging import every
from batchflow.reports.runs import find_run
from batchflow.reports.stuck import stuck

GRAVITY = tuple(Grade)
CODES = {
    Grade.DAMAGE: Exit.STORE,
    Grade.PERSON: Exit.PAUSED,
    Grade.RESUME: Exit.IN_FLIGHT,
    Grade.PASSES: Exit.DELIVERED,
}


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    findings: tuple[Finding, ...]
    repaired: tuple[str, ...]
    unrepaired: tuple[str, ...]
    """What stood in the way of a repair."""
    looked: Looked


async def doctor(wanted: str, *, quick: bool, repair: bool, json: bool, state: Path | None) -> Exit:
    """Examine, mend if that is wanted, and say what is left."""
    place = found(state)
    looked = Looked()
    async with opened_objects(place) as blobs, opened_store(place, looking=not repair) as store:
        findings = await _examined(store, blobs, place, wanted, looked, quick=quick)
        mending = Mending(store, blobs, place)
        while repair and await mending.anything_of(findings):
            looked = Looked()
            findings = await _examined(store, blobs, place, wanted, looked, quick=quick)
    findings = [without_repair(one) if one.subject in mending.beyond else one for one in findings]
    diagnosis = Diagnosis(
        findings=tuple(findings), repaired=tuple(mending.done), unrepaired=tuple(mending.undone), looked=looked
    )
    facts(diagnosis) if json else _show(diagnosis)
    return CODES[findings[0].grade] if findings else Exit.DELIVERED


async def _examined(
    store: StateStore, blobs: BlobStore, place: Path, wanted: str, looked: Looked, *, quick: bool
) -> list[Finding]:
    """Find everything, the gravest first."""
    findings: list[Finding] = []
    try:
        runs = [await find_run(store, wanted)] if wanted else [run async for run in every(store, Run, {})]
    except ValueError as error:
        return [_unreadable("", error)]
    for run in runs:
        try:
            findings += await _one(store, blobs, place, run, looked, quick=quick)
        except ValueError as error:
            findings.append(_unreadable(run.id, error))
    if not wanted:
        findings += [one async for one in strangers(blobs, [run.id for run in runs])]
    return sorted(findings, key=lambda one: GRAVITY.index(one.grade))


async def _one(
    store: StateStore, blobs: BlobStore, place: Path, run: Run, looked: Looked, *, quick: bool
) -> list[Finding]:
    holder = await store.holder(f"run/{run.id}")
    dead = holder if holder is not None and is_dead(holder, socket.gethostname()) else None
    driver = None if dead else holder
    here = partial(account_of, run, place)
    findings = [one async for one in stuck(store, run, driver=driver, dead=dead, now=time.time(), here=here)]
    if driver is None:
        findings += [one async for one in orphans(store, blobs, run)]
    wrong = [one async for one in laws(store, run, looked, driven=driver is not None)]
    if driver is not None or await driver_of(store, run) is None:
        findings += wrong  # else somebody began to drive it while it was read, and the counts mean nothing
    return findings + [one async for one in objects(store, blobs, run, looked, quick=quick)]


def _unreadable(run: str, error: ValueError) -> Finding:
    """Tell of a state or a value that no version of this program writes."""
    where = f"run {run}" if run else "the store"
    return Finding(grade=Grade.DAMAGE, run=run, subject=run, sentence=f"{where} holds what cannot be read: {error}.")


def _show(found: Diagnosis) -> None:
    for done in found.repaired:
        remark(f"{styled('repaired:', BOLD)} {done}")
    for why in found.unrepaired:
        remark(f"{styled('not repaired:', BOLD)} {why}")
    for (_, say), findings in _by_what_helps(found.findings).items():
        for one in findings:
            data(one.sentence)
        for command in say:
            remark(f"{styled('say:', BOLD)}   {command}")
    looked = found.looked
    read = f"{count(looked.runs, 'run')}, {count(looked.batches, 'batch', 'batches')}, {count(looked.objects, 'object')} ({size(looked.bytes)})"
    damaged = sum(one.grade is Grade.DAMAGE for one in found.findings)
    if damaged:
        remark(f"{styled('damage:', RED)} {count(damaged, 'thing')} in {read}")
    else:
        remark(f"store and objects agree: {read}")


def _by_what_helps(findings: Iterable[Finding]) -> dict[tuple[Grade, tuple[str, ...]], list[Finding]]:
    """Puts together what is as grave and is helped by the same commands, so that each is said once; the gravest stay first."""
    groups: dict[tuple[Grade, tuple[str, ...]], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.grade, one.say), []).append(one)
    return groups
