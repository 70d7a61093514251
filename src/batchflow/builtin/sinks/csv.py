"""A CSV file, one row per result, with a header."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from batchflow.builtin.sinks.fields import compile_fields
from batchflow.builtin.sinks.file import FileSink
from batchflow.builtin.sinks.lines import TABLE_FIELDS, CsvLines
from batchflow.model.units import Doc, Given
from batchflow.ports.sink import Sink


def csv(
    *,
    path: Annotated[Path, Doc("The file to write; its folder is made if missing.")],
    fields: Annotated[
        dict[str, str] | None,
        Doc(
            "Column -> what it gets: key, text, output.NAME, usage.input_tokens, a carried column, 'text'. Structures become JSON. "
            "By default key, word, text, error, attempt, model, input_tokens, output_tokens, cost, batch."
        ),
    ] = None,
    if_exists: Annotated[
        Literal["error", "append", "overwrite"],
        Doc("What to do when a run begins and the file is there and not empty; `append` asks for the same header."),
    ] = "error",
    delimiter: Annotated[str, Doc("One character between cells.")] = ",",
    carry: Annotated[Sequence[str] | None, Given(), Doc("The job's carried columns, which `fields` may name.")] = None,
) -> Sink:
    """CSV in a file: exactly once, also through `kill -9`; lines that others wrote are never touched."""
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f'delimiter is {delimiter!r}; it must be one character, such as "," ";" or a tab')
    return FileSink(
        path, CsvLines(compile_fields(TABLE_FIELDS if fields is None else fields, carry), delimiter), if_exists
    )
