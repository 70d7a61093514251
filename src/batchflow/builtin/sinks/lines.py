"""Results into the bytes of a file: JSON Lines and CSV. No file is touched here."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from batchflow.builtin.sinks.diagnosis import SAFE
from batchflow.builtin.sinks.fields import Fields
from batchflow.model.errors import SinkError
from batchflow.model.money import DOLLAR
from batchflow.model.result import NO_USAGE, Result
from batchflow.model.words import Word

TABLE_FIELDS = {
    "key": "key",
    "word": "word",
    "text": "text",
    "error": "error",
    "attempt": "attempt",
    "model": "model",
    "input_tokens": "usage.input_tokens",
    "output_tokens": "usage.output_tokens",
    "cost": "cost",
    "batch": "batch",
}
"""The columns of a table for which no `fields` were given."""

_UNWRITABLE = (TypeError, ValueError, OverflowError, msgspec.MsgspecError)


class Lines(Protocol):
    """How a file of results is written."""

    head: bytes
    """What an empty file begins with."""
    newline: bytes

    def encode(self, rows: Sequence[Result]) -> bytes:
        """Writes some results as whole lines."""
        ...

    def objection(self, beginning: bytes) -> str:
        """Says why these lines cannot stand below a file's beginning; empty when they can."""
        ...


class Tokens(msgspec.Struct, gc=False):
    """The counts that are billed, under the API's names."""

    input_tokens: int | None
    output_tokens: int | None
    cache_creation_input_tokens: int | None
    cache_read_input_tokens: int | None


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """The line of a result for which no `fields` were given. Parts that say nothing are left out."""

    key: str
    word: Word
    attempt: int
    carried: dict[str, Any] | None = None
    text: str | msgspec.UnsetType = msgspec.UNSET
    output: Any = None
    error: str = ""
    origin: str = ""
    """Where a row that has no usable answer came from: file and line, for a bad line may have no key."""
    usage: Tokens | None = None
    cost: float | None = None
    model: str = ""
    batch: str = ""


class JsonLines:
    """One JSON object a line. Characters that some readers take for a line end inside a text are written as escapes."""

    head = b""
    newline = b"\n"

    def __init__(self, fields: Fields | None) -> None:
        self._fields = fields
        self._encoder = msgspec.json.Encoder()

    def encode(self, rows: Sequence[Result]) -> bytes:
        return _named(self._encode, rows)

    def objection(self, beginning: bytes) -> str:
        del beginning
        return ""

    def _encode(self, rows: Sequence[Result]) -> bytes:
        return _without_line_ends(self._encoder.encode_lines(self._objects(rows)))

    def _objects(self, rows: Sequence[Result]) -> list[Any]:
        if self._fields is None:
            return _lines(rows)
        names = self._fields.names
        return [dict(zip(names, values, strict=True)) for values in self._fields.table(rows)]


class CsvLines:
    """CSV as RFC 4180 has it: CRLF between rows, quotes where needed, quotes doubled, line ends kept inside quotes.

    A text that begins with `=`, `+`, `-` or `@` is written as it is: a spreadsheet may take it for a formula, but a
    changed answer would be a wrong one. Null and the empty text look the same in CSV.
    """

    newline = b"\r\n"

    def __init__(self, fields: Fields, delimiter: str) -> None:
        self._fields = fields
        self._delimiter = delimiter
        self.head = self._rows([fields.names])

    def encode(self, rows: Sequence[Result]) -> bytes:
        return _named(self._encode, rows)

    def objection(self, beginning: bytes) -> str:
        first = io.StringIO(beginning.decode("utf-8-sig", "replace"), newline="")
        nothing: list[str] = []
        header = next(csv.reader(first, delimiter=self._delimiter), nothing)
        names = list(self._fields.names)
        return "" if header == names else f"its header is {header}, and the columns here are {names}"

    def _encode(self, rows: Sequence[Result]) -> bytes:
        return self._rows(self._fields.flat(rows, _cell))

    def _rows(self, rows: Iterable[Iterable[Any]]) -> bytes:
        text = io.StringIO(newline="")
        # Not "\n": before Python 3.13 a text with a lone "\r" in it would then go unquoted.
        csv.writer(text, delimiter=self._delimiter, lineterminator="\r\n").writerows(rows)
        return text.getvalue().encode()


def _without_line_ends(data: bytes) -> bytes:
    """Escapes what `str.splitlines` and its like take for a line end. JSON has these only inside strings."""
    # Looking for the first byte of each alone is twenty times quicker, and mostly it is not there.
    if b"\xe2" in data:
        data = data.replace("\u2028".encode(), rb"\u2028").replace("\u2029".encode(), rb"\u2029")
    return data.replace("\x85".encode(), rb"\u0085") if b"\xc2" in data else data


def as_text(value: Any) -> Any:
    """Makes JSON text of a structure and leaves what is flat."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, msgspec.Raw):
        return None if bytes(value) == b"null" else bytes(value).decode()
    return msgspec.json.encode(value).decode()


def _cell(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else as_text(value)


def _lines(rows: Sequence[Result]) -> list[Line]:
    """Lays results out as lines: in one go, since every delivered row passes here."""
    ok, nothing, unset = Word.OK, NO_USAGE, msgspec.UNSET
    return [
        Line(
            row.key,
            row.word,
            row.attempt,
            row.carried or None,
            row.text if row.output is None and (row.text or row.word is ok) else unset,
            row.output,
            row.error,
            "" if row.word is ok else row.origin,
            None
            if usage is nothing
            else Tokens(
                usage.input_tokens or 0,
                usage.output_tokens or 0,
                usage.cache_creation_input_tokens or 0,
                usage.cache_read_input_tokens or 0,
            ),
            row.cost / DOLLAR if row.cost else None,
            row.model,
            row.batch,
        )
        for row in rows
        for usage in (row.usage,)
    ]


def _named(encode: Callable[[Sequence[Result]], bytes], rows: Sequence[Result]) -> bytes:
    """Encodes; if that fails, names the row that made it fail."""
    try:
        return encode(rows)
    except _UNWRITABLE as error:
        raise unwritable(rows, lambda row: encode([row])) from error


def unwritable(rows: Sequence[Result], attempt: Callable[[Result], object]) -> SinkError:
    """Finds the row that cannot be written."""
    for row in rows:
        try:
            attempt(row)
        except _UNWRITABLE as error:
            return SinkError(
                f"the row of key {row.key!r} ({row.origin}) cannot be written: {error}. {SAFE}",
                hint="change `fields:` or what the record carries so that it holds plain text, numbers and JSON",
            )
    return SinkError(f"some rows cannot be written. {SAFE}")
