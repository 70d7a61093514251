"""A table in the user's own SQLite database; `table` says why each result is there exactly once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from batchflow.builtin.sinks.fields import compile_fields
from batchflow.builtin.sinks.lines import TABLE_FIELDS
from batchflow.builtin.sinks.statements import Mode
from batchflow.builtin.sinks.table import TableSink
from batchflow.model.units import Doc, Given, Seconds
from batchflow.ports.sink import Sink


def sqlite(
    *,
    path: Annotated[Path, Doc("The database; it is made if missing, except for `mode: update`.")],
    table: Annotated[str, Doc("The table; it is made from `fields` if missing, except for `mode: update`.")],
    mode: Annotated[
        Literal["upsert", "insert", "update"],
        Doc(
            "upsert: replace the row of that key or add one. insert: always add one. update: change rows that are there."
        ),
    ] = "upsert",
    missing: Annotated[
        Literal["error", "skip"],
        Doc(
            "For `mode: update`. error: a result without a row to update is a dead letter, `sink_error`. skip: the receipt counts them."
        ),
    ] = "error",
    key: Annotated[
        str | None, Doc("The column by which rows are found; by default the one whose field is `key`.")
    ] = None,
    fields: Annotated[
        dict[str, str] | None,
        Doc(
            "Column -> what it gets: key, text, output.NAME, usage.input_tokens, a carried column, 'text'. Structures become JSON text. "
            "By default key, word, text, error, attempt, model, input_tokens, output_tokens, cost, batch."
        ),
    ] = None,
    receipts: Annotated[
        str, Doc("The table that makes writing exactly once: one small row per part.")
    ] = "_batchflow_receipts",
    wait: Annotated[Seconds, Doc("How long to wait for another program's lock before trying again later.")] = 10.0,
    carry: Annotated[Sequence[str] | None, Given(), Doc("The job's carried columns, which `fields` may name.")] = None,
) -> Sink:
    """A table in a SQLite database: exactly once, rows and receipt in one transaction."""
    if fields is None and mode == "update":
        raise ValueError("`mode: update` needs `fields`, so that no column is changed that was not named")
    compiled = compile_fields(TABLE_FIELDS if fields is None else fields, carry)
    return TableSink(
        path=path,
        table=table,
        mode=mode,
        key=_key_column(key, fields or TABLE_FIELDS, mode),
        fields=compiled,
        receipts=receipts,
        wait=wait,
        skip_missing=missing == "skip",
    )


def _key_column(key: str | None, fields: dict[str, str], mode: Mode) -> str:
    if key is not None and key not in fields:
        raise ValueError(f"`key` is {key!r}, which is not among the columns of `fields`: {', '.join(fields)}")
    found = key or next((column for column, text in fields.items() if text.strip() == "key"), "")
    if not found and mode != "insert":
        raise ValueError(
            f"`mode: {mode}` finds rows by key, but no column of `fields` gets `key`: add `id: key`, or name the column with `key:`"
        )
    if mode == "update" and len(fields) == 1:
        raise ValueError("`mode: update` has nothing to change: `fields` names only the key")
    return found
