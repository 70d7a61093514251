"""Join: result lines meet what their records carried, a chunk at a time.

In source order where the batch fits into memory; else in arrival order, which needs only the context at hand.
"""

from array import array
from collections.abc import AsyncGenerator, Collection, Sequence
from itertools import groupby
from operator import attrgetter

from batchflow.machine.cost import costs, unpriced
from batchflow.model.blob import Blob
from batchflow.model.money import Nano
from batchflow.model.result import Answer, Result
from batchflow.model.state import Batch
from batchflow.model.words import BILLED, Word
from batchflow.stages.context import Row, read_context
from batchflow.stages.kit import Kit
from batchflow.stages.objects import NO_ROW, Footer, read_footer, read_frames

CHUNK = 512


class Joiner:
    """Reads one batch's results together with its context."""

    def __init__(self, kit: Kit, batch: Batch, parts: Sequence[Blob]) -> None:
        self._kit = kit
        self._batch = batch
        self._parts = parts
        self._footers: list[Footer] = []

    async def memory(self) -> int:
        """Estimate what a join in source order holds at once."""
        self._footers = [await read_footer(self._kit.blobs, part) for part in self._parts]
        return sum(footer.raw_bytes for footer in self._footers) + 400 * self._batch.count

    async def results(self, only: Collection[int] | None, *, ordered: bool) -> AsyncGenerator[list[Result]]:
        """Yield the rows that have a line, or those of them in `only`."""
        contexts = await self._contexts()
        lines = self._in_order(only) if ordered else self._as_received(only)
        try:
            async for chunk, rows in lines:
                yield self._results(self._kit.provider.read(chunk), rows, contexts)
        finally:
            await lines.aclose()

    async def bare(self, words: dict[int, tuple[Word, str]]) -> list[Result]:
        """Make results for rows without a line."""
        if not words:
            return []
        contexts = await self._contexts()
        return [
            Result(
                key=contexts[row].key,
                word=word,
                attempt=contexts[row].attempt,
                batch=self._batch.id,
                row=row,
                origin=contexts[row].origin,
                carried=contexts[row].carried,
                error=why,
            )
            for row, (word, why) in words.items()
        ]

    async def _contexts(self) -> list[Row]:
        assert self._batch.context is not None
        return [row async for rows in read_context(self._kit.blobs, self._batch.context) for row in rows]

    async def _placed(self) -> AsyncGenerator[tuple[list[bytes], "array[int]"]]:
        """Stream lines with the row of each; NO_ROW marks lines that lost or were never ours."""
        for part, footer in zip(self._parts, self._footers, strict=True):
            order = footer.order()
            start = 0
            async for lines in read_frames(self._kit.blobs, part, footer):
                end = start + len(lines)
                yield lines, order[start:end] if order is not None else array("I", range(start, end))
                start = end

    async def _as_received(self, only: Collection[int] | None) -> AsyncGenerator[tuple[list[bytes], Sequence[int]]]:
        async for lines, rows in self._placed():
            kept = [(line, row) for line, row in zip(lines, rows, strict=True) if _kept(row, only)]
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

    def _results(self, answers: Sequence[Answer], rows: Sequence[int], contexts: Sequence[Row]) -> list[Result]:
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
            for context in (contexts[row],)
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


def _kept(row: int, only: Collection[int] | None) -> bool:
    return row != NO_ROW and (only is None or row in only)
