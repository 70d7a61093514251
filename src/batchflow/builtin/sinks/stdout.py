"""Standard output, one line per result, for pipes.

What has gone down a pipe cannot be taken back, so the promise is `at_least_once`: after a crash, lines may come twice.
Every line carries its key unless `fields:` leaves it out.
"""

from collections.abc import Sequence
from errno import EBADF
from typing import Annotated, Literal

from anyio.to_thread import run_sync

from batchflow.builtin.disk import write_all
from batchflow.builtin.sinks.diagnosis import SAFE
from batchflow.builtin.sinks.fields import compile_fields
from batchflow.builtin.sinks.lines import TABLE_FIELDS, CsvLines, JsonLines, Lines
from batchflow.model.errors import SinkError, SinkRefused
from batchflow.model.units import Doc, Given
from batchflow.ports.sink import Part, Promise, Receipt, Sink, SinkContext

_STDOUT = 1


class StdoutSink:
    """Writes lines to file descriptor 1, past every buffer."""

    promise: Promise = "at_least_once"

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._head = lines.head

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        del context
        self._head = b"" if last else self._lines.head

    async def write(self, part: Part) -> Receipt:
        async for rows in part.rows:
            data = self._head + self._lines.encode(rows)
            await run_sync(_write, data)
            self._head = b""
        return {"part": part.name}

    async def close(self) -> None:
        return


def stdout(
    *,
    fields: Annotated[
        dict[str, str] | None,
        Doc(
            "Name of each member or column -> what it gets: key, text, output.NAME, usage.input_tokens, a carried column, 'text'."
        ),
    ] = None,
    format: Annotated[Literal["jsonl", "csv"], Doc("How a result is written.")] = "jsonl",
    carry: Annotated[Sequence[str] | None, Given(), Doc("The job's carried columns, which `fields` may name.")] = None,
) -> Sink:
    """Lines on standard output: at least once; after a crash some may come twice."""
    if format == "csv":
        return StdoutSink(CsvLines(compile_fields(TABLE_FIELDS if fields is None else fields, carry), ","))
    return StdoutSink(JsonLines(compile_fields(fields, carry) if fields is not None else None))


def _write(data: bytes) -> None:
    try:
        write_all(_STDOUT, data)
    except OSError as error:
        raise _unwritten(error) from error


def _unwritten(error: OSError) -> SinkError:
    """Says why it was not written. A disk may be emptied; a reader who is gone never comes back, nor does what is closed."""
    hint = "run `batchflow resume` with a reader, or read the results with `batchflow results`"
    if isinstance(error, BrokenPipeError):
        return SinkRefused(f"whoever read standard output is gone. {SAFE}", hint=hint)
    kind = SinkRefused if error.errno == EBADF else SinkError
    return kind(f"cannot write to standard output: {error.strerror}. {SAFE}", hint=hint)
