"""The sections of a job file that are no components. Like a component, each is a signature: names, types, help, defaults."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, Field, WithJsonSchema

from batchflow.config.tree import Place
from batchflow.model.money import Nano
from batchflow.model.notification import Threshold
from batchflow.model.rules import BatchRules, RetryRules, SubmitRules
from batchflow.model.units import Doc, Dollars, Seconds, Size


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """The plugins that a job file names."""

    files: tuple[str, ...] = ()
    allow: frozenset[str] | None = None
    deny: frozenset[str] = frozenset()


BATCH = BatchRules()
SUBMIT = SubmitRules()
RETRY = RetryRules()
ORIGIN = Place(1, 1)
OWN = "x-"
"""Keys at the top that begin like this are those of whoever wrote the file, for what its anchors name; nobody reads them."""
_SHARE = re.compile(r"^[0-9]{1,3}([.][0-9]{1,6})?%$")


def batch(
    *,
    max_requests: Annotated[int, Field(ge=1, le=100_000), Doc("Requests in one batch at most.")] = BATCH.max_requests,
    max_bytes: Annotated[Size, Field(ge=1), Doc("Size of one batch at most.")] = BATCH.max_bytes,
) -> BatchRules:
    """How batches are cut."""
    return BatchRules(max_requests=max_requests, max_bytes=max_bytes)


def submit(
    *,
    grace: Annotated[
        Seconds, Doc("How long one process looks for a batch whose reply was lost before it counts as absent.")
    ] = SUBMIT.grace,
    on_absent: Annotated[
        Literal["resubmit", "hold"], Doc("What to do with a batch that is absent: send it again, or wait for a person.")
    ] = SUBMIT.on_absent,
    timeout: Annotated[Seconds, Doc("How long one create call may take.")] = SUBMIT.timeout,
    in_flight: Annotated[int, Field(ge=1), Doc("Batches at the provider at once.")] = SUBMIT.in_flight,
    patience: Annotated[
        Seconds, Doc("How long the API may stay out of reach before the run is paused.")
    ] = SUBMIT.patience,
) -> SubmitRules:
    """How batches are sent."""
    return SubmitRules(grace=grace, on_absent=on_absent, timeout=timeout, in_flight=in_flight, patience=patience)


def budget(*, run: Annotated[Dollars, Doc("What one run may cost at most, at batch price.")]) -> Nano:
    """What may be spent."""
    return run


def retry(
    *,
    after: Annotated[Seconds, Doc("How long failed rows wait for company before they are asked again.")] = RETRY.after,
) -> RetryRules:
    """How rows that are asked again are gathered; the policy's own options stand beside it."""
    return RetryRules(after=after)


def source(
    *,
    carry: Annotated[
        list[str], Doc("Columns that travel with each record to its result, for `fields:`, checks and retries.")
    ] = [],  # noqa: B006 - configuration is never mutated
) -> tuple[str, ...]:
    """What is true of every source; its type's own options stand beside it."""
    return tuple(carry)


def sink(
    *,
    on: Annotated[Literal["ok", "dead", "all"], Doc("Which rows this sink sees.")] = "ok",
    name: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$"),
        Doc("What this sink is called; by default its type, with a number where a type comes again."),
    ] = None,
) -> dict[str, Any]:
    """What is true of every sink; its type's own options stand beside it."""
    return {"on": on, "name": name}


def _threshold(value: object) -> object:
    """Let a number of rows pass, and a share as it is written."""
    if (isinstance(value, int) and not isinstance(value, bool) and value >= 1) or (
        isinstance(value, str) and _SHARE.fullmatch(value) and 0 < float(value[:-1]) <= 100
    ):
        return value
    raise ValueError("should be a number of rows of at least 1, or a share of them like 5%")


def notify(
    *,
    on: Annotated[
        list[Literal["finished", "paused", "failed", "dead"]],
        Doc("What is told: the run came to its end, waits for somebody, broke; or has many dead letters."),
    ] = ["finished", "paused", "failed", "dead"],  # noqa: B006 - configuration is never mutated
    dead: Annotated[
        int | str,
        BeforeValidator(_threshold),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": _SHARE.pattern}]}),
        Doc("From how many dead letters on: a number of rows, or a share of the rows so far. Told once a run."),
    ] = "5%",
    deadline: Annotated[Seconds, Doc("How long one thing is tried to be told.")] = 30.0,
    name: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$"),
        Doc("What it is called; by default its type, with a number where a type comes again."),
    ] = None,
) -> dict[str, Any]:
    """What is true of every notifier; its type's own options stand beside it."""
    is_share = isinstance(dead, str)
    threshold = Threshold(share=float(dead[:-1]) / 100) if is_share else Threshold(rows=dead)
    return {"on": tuple(on), "dead": threshold, "patience": deadline, "name": name}


def job(
    *,
    on_duplicate: Annotated[
        Literal["first", "last", "error"], Doc("Which record counts when a key is seen twice.")
    ] = "first",
    repeat: Annotated[
        Literal["always"] | None, Doc("`always`: a second run asks everything again and pays again.")
    ] = None,
    plugin_timeout: Annotated[
        Seconds,
        Doc(
            "How long a plugin's part may go without a step (a page read, rows taken, a call answered) before it is given up."
        ),
    ] = 600,
) -> dict[str, Any]:
    """Single settings of a job."""
    return {"on_duplicate": on_duplicate, "repeat": repeat or "", "plugin_timeout": plugin_timeout}


def plugins(
    *,
    files: Annotated[
        list[str], Doc("Python files to load as plugins, relative to this file; `*` and `**` stand for many.")
    ] = [],  # noqa: B006 - configuration is never mutated
    allow: Annotated[
        list[str] | None, Doc("The installed plugins that may be loaded, by name or distribution; without it, all.")
    ] = None,
    deny: Annotated[list[str], Doc("Plugins that are not loaded.")] = [],  # noqa: B006 - as above
) -> Listed:
    """Which plugins the jobs of this file may use. A plain list is `files`."""
    return Listed(files=tuple(files), allow=None if allow is None else frozenset(allow), deny=frozenset(deny))


def file(
    *,
    version: Annotated[Literal[1], Doc("The form of this file.")] = 1,
    state: Annotated[
        Path | None, Doc("Folder where runs are kept, or a map; by default `.batchflow` beside this file.")
    ] = None,
) -> Path | None:
    """Single settings of a job file."""
    del version
    return state


def state(
    *,
    folder: Annotated[Path | None, Doc("Folder where runs are kept; by default `.batchflow` beside this file.")] = None,
) -> Path | None:
    """Where runs are kept; beside it stand `store` and `objects`, for what is not in the folder."""
    return folder
