"""A file of JSON lines, one per result.

Without `fields:` a line is

    {"key": "c-17", "word": "ok", "attempt": 1,
     "carried": {"tenant": "north"},              when the record carries something
     "output": {"severity": "high"},              the structured output; without one:
     "text": "...",                               the answer's text
     "error": "...", "origin": "claims.jsonl:17", when the word is not ok
     "usage": {"input_tokens": 16, "output_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
     "cost": 0.0000205,                           dollars
     "model": "claude-haiku-4-5-20251001", "batch": "..."}

and what says nothing is left out (a row that was never answered has no usage, no cost and no model).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from batchflow.builtin.sinks.fields import compile_fields
from batchflow.builtin.sinks.file import FileSink
from batchflow.builtin.sinks.lines import JsonLines
from batchflow.model.units import Doc, Given
from batchflow.ports.sink import Sink


def jsonl(
    *,
    path: Annotated[Path, Doc("The file to write; its folder is made if missing.")],
    fields: Annotated[
        dict[str, str] | None,
        Doc(
            "Name of each member -> what it gets: key, text, output.NAME, usage.input_tokens, a carried column, 'text'."
        ),
    ] = None,
    if_exists: Annotated[
        Literal["error", "append", "overwrite"],
        Doc(
            "What to do when a run begins and the file is there and not empty; a resumed run always goes on where it was."
        ),
    ] = "error",
    carry: Annotated[Sequence[str] | None, Given(), Doc("The job's carried columns, which `fields` may name.")] = None,
) -> Sink:
    """JSON Lines in a file: exactly once, also through `kill -9`; lines that others wrote are never touched."""
    return FileSink(path, JsonLines(compile_fields(fields, carry) if fields is not None else None), if_exists)
