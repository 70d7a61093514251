"""One part's files in the making: row groups of a good size, in bounded memory and with few files open at a time.

Rows wait in memory, sorted by the folder they go to, until they fill a row group. When all that waits is too much, the
largest heap is written. A file stays open between its row groups, for Parquet cannot be appended to; where too many are
open, the one that was written longest ago is finished, and its folder gets a second file of this part.
"""

import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from batchflow.lines import sync_folder
from batchflow_parquet.arrow import Batch, Schema, Writer, pa, pq

MiB = 1 << 20
GROUP = 32 * MiB
"""Bytes of Arrow's that make a row group. A part of 10,000 rows seldom has more."""


class Limits(msgspec.Struct, frozen=True):
    """How much may wait in memory, and how many files may be open."""

    group: int = GROUP
    held: int = 2 * GROUP
    files: int = 64


class Staged(msgspec.Struct, frozen=True):
    """A finished file: its name in the staging folder, and where it belongs. `number` tells files of one folder apart."""

    name: str
    folder: str
    number: int
    rows: int
    bytes: int


class _Open(msgspec.Struct):
    """A file that row groups are written to."""

    name: str
    file: BinaryIO
    writer: Writer
    rows: int = 0


class _Heap(msgspec.Struct):
    """What waits for one folder."""

    batches: list[Batch] = []
    size: int = 0
    rows: int = 0
    number: int = 0


class Stage:
    """A folder of files that nobody reads yet. Every method blocks."""

    def __init__(self, folder: Path, schema: Schema, compression: str, limits: Limits = Limits()) -> None:  # noqa: B008 -- it is frozen
        self.folder = folder
        self._schema = schema
        self._compression = compression
        self._limits = limits
        self._heaps: dict[str, _Heap] = {}
        self._open: dict[str, _Open] = {}
        self._held = 0
        self._staged: list[Staged] = []
        self._made = 0
        folder.mkdir(parents=True)

    def add(self, folder: str, batch: Batch) -> None:
        """Takes rows for a folder."""
        heap = self._heaps.setdefault(folder, _Heap())
        heap.batches.append(batch)
        heap.size += batch.nbytes
        heap.rows += batch.num_rows
        self._held += batch.nbytes
        if heap.size >= self._limits.group:
            self._write(folder)
        while self._held > self._limits.held:
            self._write(max(self._heaps, key=lambda one: self._heaps[one].size))

    def finish(self) -> list[Staged]:
        """Writes what waits, and makes every file durable."""
        for folder, heap in self._heaps.items():
            if heap.batches:
                self._write(folder)
            if folder in self._open:
                self._end(folder)
        sync_folder(self.folder)
        return self._staged

    def close(self) -> None:
        """Lets go of what is open."""
        for one in self._open.values():
            one.file.close()
        self._open = {}
        self._heaps = {}

    def _write(self, folder: str) -> None:
        heap = self._heaps[folder]
        one = self._open.pop(folder, None) or self._begun()
        self._open[folder] = one  # at the end: the first is the one that was written longest ago
        one.writer.write_table(pa.Table.from_batches(heap.batches, self._schema), heap.rows)
        one.rows += heap.rows
        self._held -= heap.size
        heap.batches, heap.size, heap.rows = [], 0, 0

    def _begun(self) -> _Open:
        if len(self._open) >= self._limits.files:
            self._end(next(iter(self._open)))
        name = str(self._made)
        self._made += 1
        file = (self.folder / name).open("xb")
        return _Open(name, file, pq.ParquetWriter(file, self._schema, compression=self._compression))

    def _end(self, folder: str) -> None:
        one, heap = self._open.pop(folder), self._heaps[folder]
        with one.file as file:
            one.writer.close()
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        self._staged.append(Staged(one.name, folder, heap.number, one.rows, size))
        heap.number += 1
