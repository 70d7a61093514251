"""What a batch remembers of each row's record, so that a sink never looks back at the source."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from batchflow.model.blob import Blob
from batchflow.ports.blobs import BlobStore
from batchflow.stages.objects import read_footer, read_frames
from batchflow.stages.wall import misgiven


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row's record: line n of a context object is row n."""

    key: str
    origin: str
    attempt: int = 1
    carried: dict[str, Any] = {}


_encoder = msgspec.json.Encoder()
_UNWRITABLE = (TypeError, ValueError, OverflowError)
_decode = msgspec.json.Decoder(Row).decode


def encode_rows(rows: Sequence[Row], source: object) -> bytes:
    """Encode rows as lines; what cannot be written down is laid at the door of the source that gave it."""
    try:
        return _encoder.encode_lines(rows)
    except _UNWRITABLE:
        for row in rows:
            _try(row, source)
        raise


def _try(row: Row, source: object) -> None:
    doing = f"with record {row.key!r} ({row.origin})"
    for name, value in [("its key", row.key), ("its origin", row.origin), *_columns(row)]:
        try:
            _encoder.encode(value)
        except _UNWRITABLE as error:
            raise misgiven(source, f"as {name} {doing}", value, f"plain JSON ({error})") from error


def _columns(row: Row) -> list[tuple[str, Any]]:
    return [(f"the carried column {name!r}", value) for name, value in row.carried.items()]


def decode_rows(lines: Sequence[bytes]) -> list[Row]:
    """Read context lines."""
    return [_decode(line) for line in lines]


async def read_context(blobs: BlobStore, blob: Blob) -> AsyncGenerator[list[Row]]:
    """Stream a batch's context in row order."""
    footer = await read_footer(blobs, blob)
    async for lines in read_frames(blobs, blob, footer):
        yield decode_rows(lines)
