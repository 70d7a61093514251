"""Results in a folder of Parquet files, which analysts may read while the run goes on: parts appear whole, and once.

One file a part (one for each partition of it, if there are any), and not larger files of many parts: what is delivered can
be read at once, a redelivered part replaces exactly itself, and a folder that is read meanwhile never shows a row twice.
Files of several parts could only be put in the place of smaller ones in more than one step, and a reader in between would
see rows twice or not at all. Whoever wants large files makes them of a folder that is whole: one COPY in DuckDB.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from anyio.to_thread import run_sync

from batchflow.lines import SAFE, cannot_write, known, sync_folder
from batchflow.plugin import (
    Doc,
    Folder,
    Given,
    Part,
    Promise,
    Receipt,
    Refusal,
    Result,
    SinkContext,
    SinkError,
    Target,
    Written,
)
from batchflow_parquet.agreement import objection, visible
from batchflow_parquet.columns import Layout, layout
from batchflow_parquet.ledger import SUCCESS, Ledger, Record
from batchflow_parquet.shapes import Word
from batchflow_parquet.staging import Stage

T = TypeVar("T")


def parquet(
    *,
    path: Annotated[Path, Folder(), Doc("The folder of the dataset; it is made if missing.")],
    fields: Annotated[
        dict[str, str] | None,
        Doc(
            "Column -> what it gets: key, text, output.NAME, usage.input_tokens, a carried column, 'text'. "
            "By default key, word, carried columns, output (where the job has a schema), text, error, attempt, model, input_tokens, output_tokens, cost, batch."
        ),
    ] = None,
    types: Annotated[
        dict[str, Word] | None,
        Doc(
            "Column -> its type, where it is not known: carried columns are texts without it. Texts are read: '12' is 12."
        ),
    ] = None,
    partition_by: Annotated[
        list[str] | None, Doc("Columns that become folders, `tenant=acme/`, instead of standing in the files.")
    ] = None,
    compression: Annotated[
        Literal["zstd", "snappy", "gzip", "lz4", "none"], Doc("How columns are compressed.")
    ] = "zstd",
    if_exists: Annotated[
        Literal["error", "append"],
        Doc(
            "What to do when a run begins and something lies in the folder; `append` leaves it, asks for the same columns, and puts its files beside it."
        ),
    ] = "error",
    carry: Annotated[Sequence[str] | None, Given(), Doc("The job's carried columns, which `fields` may name.")] = None,
    output: Annotated[
        Mapping[str, Any] | None, Given(), Doc("The JSON schema of the job's outputs, which gives `output` its type.")
    ] = None,
) -> "ParquetSink":
    """Parquet in a folder, one file a part: exactly once, also through `kill -9`, and readable meanwhile."""
    columns = layout(fields, types=types or {}, partition_by=partition_by or (), carry=carry, output=output)
    return ParquetSink(path, columns, compression, append=if_exists == "append")


class ParquetReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The last part that is in the dataset."""

    part: str
    rows: int = 0
    files: int = 0
    bytes: int = 0
    refused: int = 0


class ParquetSink:
    """Writes each part to files of its own."""

    promise: Promise = "receipt"

    def __init__(self, path: Path, columns: Layout, compression: str, *, append: bool) -> None:
        self._path = path
        self._columns = columns
        self._compression = compression
        self._append = append
        self._ledger: Ledger | None = None
        self._maybe_whole = True

    def targets(self) -> Sequence[Target]:
        """The folder, and a file as it would lie in it."""
        folders = [f"{name}=value" for name in self._columns.by]
        return (Target(str(self._path), like=str(self._path.joinpath(*folders, "part.parquet"))),)

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        confirmed = known(last, ParquetReceipt)
        ledger = Ledger(self._path, context.run, context.sink)
        await run_sync(self._blocking, lambda: self._enter(ledger, context, confirmed))
        self._ledger = ledger

    async def write(self, part: Part) -> Receipt | Written:
        assert self._ledger is not None, "write comes after open"
        ledger = self._ledger
        record = await run_sync(self._blocking, lambda: ledger.known(part.name))
        if record is None or await run_sync(ledger.missing, record):
            record = await self._written(ledger, part)
        return _told(record)

    async def complete(self) -> None:
        """Leaves `_SUCCESS`, after a look whether everything is there."""
        assert self._ledger is not None, "it was opened"
        await run_sync(self._blocking, partial(self._complete, self._ledger))

    async def close(self) -> None:
        self._ledger = None

    async def _written(self, ledger: Ledger, part: Part) -> Record:
        staging = ledger.begin(part.name)
        stage = await run_sync(self._blocking, lambda: Stage(staging, self._columns.schema, self._compression))
        refused: list[Refusal] = []
        try:
            async for rows in part.rows:
                refused += await run_sync(self._blocking, partial(self._add, stage, rows))
            return await run_sync(self._blocking, lambda: self._finish(ledger, part.name, stage, refused))
        except BaseException:
            # Here, in the loop: a canceled task cannot wait for a thread. A part that counts is left to the next process.
            stage.close()
            if (kept := ledger.known(part.name)) is None or kept.staging != staging.name:
                ledger.throw_away(staging)
            raise

    def _add(self, stage: Stage, rows: Sequence[Result]) -> Sequence[Refusal]:
        fitting = self._columns.sorted(rows)
        for folder, batch in fitting.batches.items():
            stage.add(folder, batch)
        return fitting.refused

    def _finish(self, ledger: Ledger, part: str, stage: Stage, refused: Sequence[Refusal]) -> Record:
        staged = stage.finish()
        self._no_longer_whole()
        record = ledger.record(part, stage.folder, staged, refused)
        ledger.keep(record)
        ledger.put(record)
        return record

    def _enter(self, ledger: Ledger, context: SinkContext, last: ParquetReceipt | None) -> None:
        if last is not None and ledger.known(last.part) is None:
            raise SinkError(
                f"{self._path} is not as run {context.run} left it: it does not know part {last.part!r}. Nothing was touched. {SAFE}",
                hint=f"put the folder back as it was and run `batchflow resume {context.run}`; or `batchflow replay {context.run} --sink {context.sink}` "
                "writes what is missing from the stored answers, for nothing",
            )
        self._path.mkdir(parents=True, exist_ok=True)
        if context.fresh:
            self._judge_what_exists(ledger)
        ledger.folder.mkdir(parents=True, exist_ok=True)
        ledger.recover()
        for folder in (ledger.folder, *ledger.folder.parents[:3]):
            sync_folder(folder)

    def _judge_what_exists(self, ledger: Ledger) -> None:
        if self._append:
            if why := objection(self._path, self._columns.schema, self._columns.by):
                raise SinkError(
                    f"cannot append to {self._path}: {why}. Nothing was touched.",
                    hint="give `fields`, `types` and `partition_by` what the folder has, or choose another folder",
                )
            return
        ours = {str(self._path / file.path) for record in ledger.records() for file in record.files}
        if other := next((name for name in visible(self._path) if name not in ours), None):
            raise SinkError(
                f"{self._path} holds something already: {other}. Nothing was touched.",
                hint="choose another folder, such as one of this day, empty it, or set `if_exists: append`: the files of each run have names of their own",
            )

    def _no_longer_whole(self) -> None:
        """Takes `_SUCCESS` away before a run writes more: whoever waits for it must not read half."""
        if self._maybe_whole:
            (self._path / SUCCESS).unlink(missing_ok=True)
            self._maybe_whole = False

    def _complete(self, ledger: Ledger) -> None:
        for record in ledger.records():
            if path := ledger.missing(record):
                raise SinkError(
                    f"{self._path / path} is gone, or is not as it was written, so the dataset is not whole. {SAFE}",
                    hint="put the file back and run `batchflow resume`; or `batchflow replay RUN --sink NAME` writes what is missing from the stored answers, for nothing",
                )
        self._maybe_whole = True
        (self._path / SUCCESS).touch()
        sync_folder(self._path)

    def _blocking(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except OSError as error:
            raise cannot_write(self._path, error) from error


def _told(record: Record) -> Receipt | Written:
    receipt: Receipt = msgspec.to_builtins(
        ParquetReceipt(
            part=record.part,
            rows=record.rows,
            files=len(record.files),
            bytes=sum(file.bytes for file in record.files),
            refused=len(record.refused),
        )
    )
    return Written(receipt=receipt, refused=record.refused) if record.refused else receipt
