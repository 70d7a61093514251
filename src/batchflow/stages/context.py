"""What a batch remembers of each row's record, so that a sink never looks back at the source."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from batchflow.model.blob import Blob
from batchflow.ports.blobs import BlobStore
from batchflow.stages.objects import read_footer, read_frames


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row's record: line n of a context object is row n."""

    key: str
    origin: str
    attempt: int = 1
    carried: dict[str, Any] = {}


_decode = msgspec.json.Decoder(Row).decode


def decode_rows(lines: Sequence[bytes]) -> list[Row]:
    """Read context lines."""
    return [_decode(line) for line in lines]


async def read_context(blobs: BlobStore, blob: Blob) -> AsyncGenerator[list[Row]]:
    """Stream a batch's context in row order."""
    footer = await read_footer(blobs, blob)
    async for lines in read_frames(blobs, blob, footer):
        yield decode_rows(lines)
