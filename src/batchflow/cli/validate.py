"""`batchflow validate`: everything that can be known about a job file before it costs anything."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec

from batchflow.cli.exits import Exit
from batchflow.config.build import build, build_provider
from batchflow.config.check import check
from batchflow.config.job import JobFile, JobSpec
from batchflow.config.load import load
from batchflow.extend.facade import Plugins
from batchflow.model.errors import ConfigError
from batchflow.ports.prices import Prices


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a job file, for `--json`."""

    file: str
    ok: bool
    jobs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def validate(
    file: Path,
    jobs: Sequence[str] = (),
    *,
    plugins: Plugins,
    prices: Prices,
    env: Mapping[str, str],
    given: Mapping[str, Any],
    json: bool = False,
) -> Exit:
    """Check a job file and say what is wrong with it; `given` holds what the app supplies to factories."""
    try:
        read = load(file, plugins, env, only=jobs)
        found = anyio.run(partial(_looked_into, read, plugins=plugins, prices=prices, given=given))
    except ConfigError as error:
        if not json:
            raise
        found = Finding(file=str(file), ok=False, problems=error.problems or (error.message,))
    _say(found, json=json)
    if not found.ok and not json:
        raise _refused(found)
    return Exit.DELIVERED if found.ok else Exit.CONFIG


async def _looked_into(read: JobFile, *, plugins: Plugins, prices: Prices, given: Mapping[str, Any]) -> Finding:
    problems: list[str] = []
    warnings = list(read.warnings)
    for job in read.jobs.values():
        wrong, doubtful = await _one(job, plugins=plugins, prices=prices, given=given)
        problems += wrong
        warnings += doubtful
    shown = next(iter(read.jobs.values())).page.shown
    return Finding(
        file=shown,
        ok=not problems,
        jobs=tuple(read.jobs),
        problems=tuple(dict.fromkeys(problems)),
        warnings=tuple(dict.fromkeys(warnings)),
    )


async def _one(
    job: JobSpec, *, plugins: Plugins, prices: Prices, given: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    try:
        parts = build(job, given)
        build_provider(job, given)
    except ConfigError as error:
        return list(error.problems), []
    found = await check(job, parts, plugins=plugins, prices=prices)
    wrong = [job.told(one) for one in found if not one.warning]
    return wrong, [job.told(one) for one in found if one.warning]


def _say(found: Finding, *, json: bool) -> None:
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    for warning in found.warnings:
        sys.stderr.write(warning + "\n")
    if found.ok:
        names = ", ".join(found.jobs)
        sys.stdout.write(f"{found.file} is sound: {names}. To see what it would cost: batchflow plan {found.file}\n")


def _refused(found: Finding) -> ConfigError:
    count = "1 problem" if len(found.problems) == 1 else f"{len(found.problems)} problems"
    return ConfigError(
        f"{count} in {found.file}; nothing was sent and nothing was written",
        problems=found.problems,
        hint=f"mend {'it' if len(found.problems) == 1 else 'them'}, then type `batchflow validate {found.file}`",
    )
