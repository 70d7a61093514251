"""Results into JSON Lines and CSV, and back: what plugins share with the built-in sinks and sources, so that none is a copy.

    from batchflow.lines import csv_lines, json_lines

`json_lines` and `csv_lines` make what a sink writes: `encode(rows)` gives whole lines in bytes, `head` is what a file or
an object begins with; `cells` makes the columns of a row, for what is no file. `fields` and `carry` mean what they mean everywhere. `key_of` and `no_key` judge what is to be a
record's key. No file is touched here.
"""

from collections.abc import Collection, Mapping

from batchflow.builtin.sinks.diagnosis import SAFE
from batchflow.builtin.sinks.fields import compile_fields
from batchflow.builtin.sinks.lines import TABLE_FIELDS, Cells, CsvLines, JsonLines, Lines
from batchflow.machine.keys import key_of, no_key

__all__ = ["SAFE", "Cells", "Lines", "cells", "csv_lines", "json_lines", "key_of", "no_key"]


def json_lines(fields: Mapping[str, str] | None, carry: Collection[str] | None = None) -> Lines:
    """Makes JSON Lines as the `jsonl` sink writes them; a wrong field is a `ValueError` that says what is wrong."""
    return JsonLines(compile_fields(fields, carry) if fields is not None else None)


def csv_lines(fields: Mapping[str, str] | None, carry: Collection[str] | None = None, *, delimiter: str = ",") -> Lines:
    """Makes CSV as the `csv` sink writes it, with its columns where no fields are given; a wrong field is a `ValueError`."""
    return CsvLines(compile_fields(TABLE_FIELDS if fields is None else fields, carry), delimiter)


def cells(fields: Mapping[str, str] | None, carry: Collection[str] | None = None) -> Cells:
    """Makes columns of plain text, those of the `csv` sink where no fields are given; a wrong field is a `ValueError`."""
    return Cells(compile_fields(TABLE_FIELDS if fields is None else fields, carry))
