"""Walk: a batch's two objects side by side, so that nobody holds either of them whole."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from batchflow.model.state import Batch
from batchflow.stages.context import Row, decode_rows
from batchflow.stages.kit import Kit
from batchflow.stages.objects import read_footer, read_frames

STRIDE = 512


class Walk:
    """Takes rows of a batch in their order: each one's request, and what is known of its record."""

    def __init__(self, params: AsyncGenerator[list[bytes]], context: AsyncGenerator[list[bytes]]) -> None:
        self._streams = (params, context)
        self._params: list[bytes] = []
        self._context: list[bytes] = []

    async def take(self, most: int) -> tuple[list[bytes], list[Row]]:
        """Take some of the next rows: at least one, and not more than so many."""
        params, context = self._streams
        self._params = self._params or await anext(params)
        self._context = self._context or await anext(context)
        n = min(most, len(self._params), len(self._context))
        taken = [line[:-1] for line in self._params[:n]], decode_rows(self._context[:n])
        self._params, self._context = self._params[n:], self._context[n:]
        return taken

    async def aclose(self) -> None:
        """Let the objects go."""
        for stream in self._streams:
            await stream.aclose()


async def walk(kit: Kit, batch: Batch) -> Walk:
    """Begin at a batch's first row."""
    assert batch.requests is not None
    assert batch.context is not None
    params = read_frames(kit.blobs, batch.requests, await read_footer(kit.blobs, batch.requests))
    return Walk(params, read_frames(kit.blobs, batch.context, await read_footer(kit.blobs, batch.context)))


async def numbered(kit: Kit, batch: Batch) -> AsyncGenerator[tuple[int, list[bytes], list[Row]]]:
    """Yield all rows, some at a time, and the number of the first of them."""
    first = 0
    async with aclosing(await walk(kit, batch)) as steps:
        while first < batch.count:
            params, rows = await steps.take(STRIDE)
            yield first, params, rows
            first += len(rows)
