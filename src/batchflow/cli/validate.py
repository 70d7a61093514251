"""`batchflow validate`: everything that can be known about a job file before it costs anything."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec

from batchflow.cli.exits import Exit
from batchflow.cli.place import beside
from batchflow.config.load import Survey, survey
from batchflow.config.overlap import kept_for
from batchflow.config.plugging import remarks
from batchflow.config.whole import look_into
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
        found = survey(file, plugins, env, only=jobs)
        kept = kept_for(found, beside(found.path, asked=None, written=found.state))
        anyio.run(partial(look_into, found, plugins=plugins, prices=prices, given=given, kept=kept))
    except ConfigError as error:
        if not json:
            raise
        _say(Finding(file=str(file), ok=False, problems=error.problems or (error.message,)), json=json)
        return Exit.CONFIG
    _say(_finding(found, plugins), json=json)
    if not json:
        found.faults.stop()
    return Exit.CONFIG if found.faults.errors else Exit.DELIVERED


def _finding(read: Survey, plugins: Plugins) -> Finding:
    page, errors = read.faults.page, read.faults.errors
    return Finding(
        file=page.shown,
        ok=not errors,
        jobs=tuple(read.drafts),
        problems=tuple(map(page.told, errors)),
        warnings=(*read.faults.warnings, *remarks(plugins)),
    )


def _say(found: Finding, *, json: bool) -> None:
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    for warning in found.warnings:
        sys.stderr.write(warning + "\n")
    if found.ok:
        names = ", ".join(found.jobs)
        sys.stdout.write(f"{found.file} is sound: {names}. To see what it would cost: batchflow plan {found.file}\n")
