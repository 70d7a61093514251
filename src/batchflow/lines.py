"""Lines for plugins: results into JSON Lines and CSV, and records out of them, as the built-in sinks and sources do it.

Results, for a sink: `json_lines` and `csv_lines` make what it writes. `encode(rows)` gives whole lines in bytes, `head` is
what a file or an object begins with; `fields` and `carry` mean what they mean everywhere. For what is no file, `cells`
makes the columns of a row; `compile_fields` gives columns with their kinds, for targets that have types. `spelled` makes a
file's name of a part's, `known` reads a receipt back; `cannot_write` and `sync_folder` are for sinks of local files.

Records, for a source: `json_records` and `csv_records` read any `Shelf`: a plugin says which files there are and how the
bytes of one begin at a place (`entered` unpacks them), and gets cutting, decoding, cursors and bad rows for it. `folder` is
the shelf of local files, and `covers` tells whether they would be what a sink writes; `paged` carries a generator that blocks into a thread, page by page. A shelf is
called in threads: one on a network asks its event loop from there (`anyio.from_thread.run`).
`key_of` and `no_key` judge what is to be a record's key; `stood` reads a cursor back.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from batchflow.builtin.disk import sync_folder
from batchflow.builtin.sinks.diagnosis import SAFE, cannot_write
from batchflow.builtin.sinks.fields import Column, Fields, compile_fields
from batchflow.builtin.sinks.lines import TABLE_FIELDS, Cells, CsvLines, JsonLines, Lines
from batchflow.builtin.sinks.names import spelled
from batchflow.builtin.sinks.receipt import known
from batchflow.builtin.sources.csv import Csv, dialect
from batchflow.builtin.sources.encoding import UTF8, checked
from batchflow.builtin.sources.jsonl import Jsonl
from batchflow.builtin.sources.mark import stood
from batchflow.builtin.sources.paged import paged
from batchflow.builtin.sources.shelf import Folder, Shelf
from batchflow.builtin.sources.stream import GONE, Stream, entered, shorter
from batchflow.builtin.sources.tree import Found, covers, fits
from batchflow.machine.keys import key_of, no_key

__all__ = [
    "GONE",
    "SAFE",
    "TABLE_FIELDS",
    "Cells",
    "Column",
    "Csv",
    "Fields",
    "Found",
    "Jsonl",
    "Lines",
    "Shelf",
    "Stream",
    "cannot_write",
    "cells",
    "compile_fields",
    "covers",
    "csv_lines",
    "csv_records",
    "entered",
    "fits",
    "folder",
    "json_lines",
    "json_records",
    "key_of",
    "known",
    "no_key",
    "paged",
    "shorter",
    "spelled",
    "stood",
    "sync_folder",
]

LARGEST = 32_000_000


def json_lines(fields: Mapping[str, str] | None, carry: Collection[str] | None = None) -> Lines:
    """Makes JSON Lines as the `jsonl` sink writes them; a wrong field is a `ValueError` that says what is wrong."""
    return JsonLines(compile_fields(fields, carry) if fields is not None else None)


def csv_lines(fields: Mapping[str, str] | None, carry: Collection[str] | None = None, *, delimiter: str = ",") -> Lines:
    """Makes CSV as the `csv` sink writes it, with its columns where no fields are given; a wrong field is a `ValueError`."""
    return CsvLines(compile_fields(TABLE_FIELDS if fields is None else fields, carry), delimiter)


def cells(fields: Mapping[str, str] | None, carry: Collection[str] | None = None) -> Cells:
    """Makes columns of plain text, those of the `csv` sink where no fields are given; a wrong field is a `ValueError`."""
    return Cells(compile_fields(TABLE_FIELDS if fields is None else fields, carry))


def json_records(shelf: Shelf, *, key: str | None, encoding: str = UTF8, max_record: int = LARGEST) -> Jsonl:
    """Reads the JSON lines of a shelf as the `jsonl` source reads a folder's."""
    return Jsonl(shelf, key=key, encoding=checked(encoding), max_record=max_record)


def csv_records(
    shelf: Shelf, *, key: str | None, delimiter: str = ",", encoding: str = UTF8, max_record: int = LARGEST
) -> Csv:
    """Reads the CSV of a shelf as the `csv` source reads a folder's; a wrong delimiter is a `ValueError`."""
    return Csv(shelf, key=key, dialect=dialect(delimiter, encoding, max_record))


def folder(path: Path) -> Shelf:
    """Names the files of a path or pattern, as the sources of files find them."""
    return Folder(path)
