"""Reads records from standard input, which comes once: it is copied to a file first, and the file can be read again."""

import os
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Literal

import anyio
from anyio import to_thread

from batchflow.builtin.sources.csv import Csv
from batchflow.builtin.sources.csv import csv as read_csv
from batchflow.builtin.sources.jsonl import Jsonl
from batchflow.builtin.sources.jsonl import jsonl as read_jsonl
from batchflow.builtin.sources.stream import BLOCK, GONE
from batchflow.model.errors import SourceError
from batchflow.model.record import Cursor, Page
from batchflow.model.units import Doc, Given, Size

NAME = "stdin"


def stdin(
    *,
    key: Annotated[
        str | None, Doc("The field that names a record. Without it, a record is named by its place: `stdin:17`.")
    ] = None,
    format: Annotated[Literal["jsonl", "csv"], Doc("What comes in.")] = "jsonl",
    max_record: Annotated[Size, Doc("A longer record is passed over and becomes a dead letter.")] = 32_000_000,
    spool: Annotated[
        Path | None,
        Given(),
        Doc("The folder that keeps the copy, one run's alone; batchflow gives one inside its state folder."),
    ] = None,
) -> "Stdin":
    """Reads standard input, as JSON lines or CSV."""
    if spool is None:
        return Stdin(None, None)
    read = read_jsonl if format == "jsonl" else read_csv
    return Stdin(spool, read(path=spool / NAME, key=key, max_record=max_record))


class Stdin:
    """A source that reads the copy of a stream, and makes it first if it is not there yet."""

    def __init__(self, spool: Path | None, copy: Jsonl | Csv | None, *, descriptor: int | None = None) -> None:
        self._spool = spool
        self._copy = copy
        self._descriptor = descriptor

    async def read(self, after: Cursor | None) -> AsyncGenerator[Page]:
        """Yields what came in. Nothing is given out before the whole of it is safe."""
        if self._spool is None or self._copy is None:
            raise SourceError(
                "standard input has no folder to be copied to",
                hint="give `spool`: a folder that this run has to itself",
            )
        await self._keep(self._spool, after)
        async with aclosing(self._copy.read(after)) as pages:
            async for page in pages:
                yield page

    async def fingerprint(self) -> str | None:
        """Cannot be told: what comes the next time is another stream."""
        return None

    async def _keep(self, spool: Path, after: Cursor | None) -> None:
        folder = anyio.Path(spool)
        kept, part = folder / NAME, folder / f"{NAME}.part"
        if await kept.exists():
            return
        if after is not None:
            raise SourceError(f"the copy of standard input, {kept}, is gone", hint=GONE)
        descriptor = _piped() if self._descriptor is None else self._descriptor
        try:
            await folder.mkdir(parents=True, exist_ok=True)
            # Written over the part that an earlier run may have left: that stream is gone, and nothing of it was sent.
            async with await part.open("wb") as file:
                await _copy(descriptor, file.wrapped.fileno())
            await part.replace(kept)
        except OSError as error:
            raise SourceError(
                f"cannot copy standard input to {spool}: {error.strerror}",
                hint="nothing was sent: make room and pipe it in again",
            ) from error


async def _copy(source: int, target: int) -> None:
    """Copies until the end. Waiting for a slow pipe happens on the loop, so that Ctrl-C ends it."""
    may_block = not stat.S_ISREG(os.fstat(source).st_mode)
    while True:
        if may_block:
            may_block = await _readable(source)
        if not await to_thread.run_sync(_copy_block, source, target):
            break
    await to_thread.run_sync(os.fsync, target)


async def _readable(descriptor: int) -> bool:
    try:
        await anyio.wait_readable(descriptor)
    except PermissionError:  # /dev/null and the like cannot be waited for, and need not be
        return False
    return True


def _copy_block(source: int, target: int) -> int:
    block = os.read(source, BLOCK)
    left = memoryview(block)
    while left:
        left = left[os.write(target, left) :]
    return len(block)


def _piped() -> int:
    """Gives standard input's descriptor, unless a person sits at it."""
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError) as error:
        raise SourceError(
            "there is no standard input", hint="pipe records in: batchflow run < records.jsonl"
        ) from error
    if os.isatty(descriptor):
        raise SourceError("standard input is a terminal", hint="pipe records in: batchflow run < records.jsonl")
    return descriptor
