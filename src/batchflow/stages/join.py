"""Join: result lines meet what their records carried, a chunk at a time.

In source order where the batch fits into memory, else in arrival order. Carried columns may be larger than the answers:
where those of all rows do not fit, a window of rows is joined after the other, and the lines are gone through for each.
"""

from array import array
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from itertools import groupby
from operator import attrgetter

from batchflow.machine.cost import costs, unpriced
from batchflow.model.blob import Blob
from batchflow.model.money import Nano
from batchflow.model.result import Answer, Result
from batchflow.model.state import Batch
from batchflow.model.words import BILLED, Word
from batchflow.stages.context import Row, decode_rows
from batchflow.stages.kit import Kit
from batchflow.stages.objects import NO_ROW, Footer, read_footer, read_frames

CHUNK = 512
_OBJECTS = 3
"""What a record's line grows by when it is decoded, about: small columns take more, large ones less."""
_ROW = 400
"""What a row takes besides."""


class Joiner:
    """Reads one batch's results together with its context."""

    def __init__(self, kit: Kit, batch: Batch, parts: Sequence[Blob]) -> None:
        self._kit = kit
        self._batch = batch
        self._parts = parts
        self._footers: list[Footer] = []
        self._carried: Footer | None = None
        self._size = 0

    async def memory(self) -> int:
        """Estimate what a join in source order holds at once."""
        self._footers = [await read_footer(self._kit.blobs, part) for part in self._parts]
        contexts = _in_memory((await self._about_contexts()).raw_bytes, self._batch.count)
        self._size = sum(footer.raw_bytes for footer in self._footers) + contexts
        return self._size

    async def results(self, only: Collection[int] | None, *, room: int) -> AsyncGenerator[list[Result]]:
        """Yield the rows that have a line, or those of them in `only`, while holding so many bytes, about."""
        ordered = room >= self._size
        async with aclosing(self._windows(self._size if ordered else room // 2)) as windows:
            async for first, contexts in windows:
                window = range(first, first + len(contexts))
                lines = self._in_order(only) if ordered else self._as_received(window, only)
                async with aclosing(lines):
                    async for chunk, rows in lines:
                        yield self._results(self._kit.provider.read(chunk), rows, first, contexts)

    async def bare(self, fates: Mapping[int, tuple[Word, str]]) -> AsyncGenerator[list[Result]]:
        """Make results for rows without a line."""
        if not fates:
            return
        async with aclosing(self._windows(0)) as windows:
            async for first, contexts in windows:
                rows = [row for row in range(first, first + len(contexts)) if row in fates]
                for start in range(0, len(rows), CHUNK):
                    yield [self._bare(row, contexts[row - first], *fates[row]) for row in rows[start : start + CHUNK]]

    def _bare(self, row: int, context: Row, word: Word, why: str) -> Result:
        return Result(
            key=context.key,
            word=word,
            attempt=context.attempt,
            batch=self._batch.id,
            row=row,
            origin=context.origin,
            carried=context.carried,
            error=why,
        )

    @property
    def _context(self) -> Blob:
        assert self._batch.context is not None
        return self._batch.context

    async def _about_contexts(self) -> Footer:
        if self._carried is None:
            self._carried = await read_footer(self._kit.blobs, self._context)
        return self._carried

    async def _windows(self, room: int) -> AsyncGenerator[tuple[int, list[Row]]]:
        """Read what records carried, as many rows together as have room, and never less than a frame of them."""
        first, size = 0, 0
        contexts: list[Row] = []
        frames = read_frames(self._kit.blobs, self._context, await self._about_contexts())
        async with aclosing(frames):
            async for lines in frames:
                more = _in_memory(sum(map(len, lines)), len(lines))
                if contexts and size + more > room:
                    yield first, contexts
                    first, contexts, size = first + len(contexts), [], 0
                contexts += decode_rows(lines)
                size += more
        if contexts:
            yield first, contexts

    async def _placed(self) -> AsyncGenerator[tuple[list[bytes], "array[int]"]]:
        """Stream lines with the row of each; NO_ROW marks lines that lost or were never ours."""
        for part, footer in zip(self._parts, self._footers, strict=True):
            order = footer.order()
            start = 0
            async for lines in read_frames(self._kit.blobs, part, footer):
                end = start + len(lines)
                yield lines, order[start:end] if order is not None else array("I", range(start, end))
                start = end

    async def _as_received(
        self, window: range, only: Collection[int] | None
    ) -> AsyncGenerator[tuple[list[bytes], Sequence[int]]]:
        async with aclosing(self._placed()) as placed:
            async for lines, rows in placed:
                kept = [
                    (line, row)
                    for line, row in zip(lines, rows, strict=True)
                    if row in window and (only is None or row in only)
                ]
                for start in range(0, len(kept), CHUNK):
                    chunk = kept[start : start + CHUNK]
                    yield [line for line, _ in chunk], [row for _, row in chunk]

    async def _in_order(self, only: Collection[int] | None) -> AsyncGenerator[tuple[list[bytes], Sequence[int]]]:
        none = b""  # no line is empty
        slots = [none] * self._batch.count
        async for lines, rows in self._placed():
            for line, row in zip(lines, rows, strict=True):
                if row != NO_ROW:
                    slots[row] = line
        for start in range(0, len(slots), CHUNK):
            chunk = slots[start : start + CHUNK]
            if only is None and none not in chunk:
                yield chunk, range(start, start + len(chunk))  # nearly always
                continue
            rows = [row for row, line in enumerate(chunk, start) if line]
            if only is not None:
                rows = [row for row in rows if row in only]
            if rows:
                yield [slots[row] for row in rows], rows

    def _results(
        self, answers: Sequence[Answer], rows: Sequence[int], first: int, contexts: Sequence[Row]
    ) -> list[Result]:
        batch = self._batch.id
        return [
            Result(
                key=context.key,
                word=answer.word or Word.MISSING,
                attempt=context.attempt,
                batch=batch,
                row=row,
                origin=context.origin,
                carried=context.carried,
                text=answer.text,
                line=answer.line,
                usage=answer.usage,
                model=answer.model,
                stop_reason=answer.stop_reason,
                error=answer.error,
                cost=paid if answer.word in BILLED else 0,
                list_cost=listed if answer.word in BILLED else 0,
            )
            for answer, row, (paid, listed) in zip(answers, rows, self._costs(answers), strict=True)
            for context in (contexts[row - first],)
        ]

    def _costs(self, answers: Sequence[Answer]) -> list[tuple[Nano, Nano]]:
        """Say what each answer would cost if it were billed."""
        told: list[tuple[Nano, Nano]] = []
        at_most = unpriced(self._batch.reserved, self._batch.count)
        for model, some in groupby(answers, attrgetter("model")):
            usages = [answer.usage for answer in some]
            price = self._kit.prices.price(model)
            told += costs(price, usages, batch=True) if price is not None else [at_most] * len(usages)
        return told


def _in_memory(raw_bytes: int, rows: int) -> int:
    """Estimate what records take that were so many bytes of lines."""
    return _OBJECTS * raw_bytes + _ROW * rows
