"""One record, followed by its key: where it came from, what was asked, every attempt, the answer, where it went.

There is no index of keys: what a batch remembers of its records is a few bytes a row on disk, and reading through all of it
takes less than a second for a million. An index would cost every run more than anybody's question.
"""

from array import array
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from batchflow.machine.cost import cost, unpriced
from batchflow.model.money import DOLLAR
from batchflow.model.result import Answer
from batchflow.model.state import Batch, Decision, Delivery, Run, Setback
from batchflow.model.words import BILLED, Word
from batchflow.ports.blobs import BlobStore
from batchflow.ports.prices import Prices
from batchflow.ports.provider import Provider
from batchflow.ports.state import StateStore
from batchflow.reports.paging import every
from batchflow.reports.runs import instant
from batchflow.reports.shown import ShownSink, shown
from batchflow.stages.context import Row, decode_rows
from batchflow.stages.objects import read_footer, read_frames, read_line
from batchflow.stages.reject import LANE

REFUSED = "refused by a sink"


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One sink's part that this row was in."""

    sink: str
    where: str
    state: str
    part: str
    receipt: dict[str, Any] | None
    why: str


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request for the record, in one batch."""

    attempt: int
    batch: str
    remote: str
    row: int
    batch_state: str
    sent: str | None
    ended: str | None
    word: str | None
    """None while there is no answer."""
    fate: str
    """What became of it: good, accepted as it is, asked again, dead, refused by a sink, or under way."""
    error: str
    request: msgspec.Raw | None
    answer: msgspec.Raw | None
    text: str
    input_tokens: int
    output_tokens: int
    cost: float
    list_cost: float
    arrivals: tuple[Arrival, ...]


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one record in one run."""

    key: str
    run: str
    job: str
    origin: str
    carried: dict[str, Any]
    attempts: tuple[Attempt, ...]
    cost: float
    list_cost: float


class Tracker:
    """Follows records through one store."""

    def __init__(self, store: StateStore, blobs: BlobStore, provider: Provider, prices: Prices) -> None:
        self._store = store
        self._blobs = blobs
        self._provider = provider
        self._prices = prices

    async def follow(self, run: Run, key: str) -> Trail | None:
        """Follow a record; None when the run does not know its key."""
        origin, carried = "", dict[str, Any]()
        attempts: list[Attempt] = []
        async for batch in every(self._store, Batch, {"run": run.id}):
            async for number, row in self._rows(batch, key):
                origin, carried = row.origin, row.carried
                attempts.append(await self._attempt(run, batch, number, row))
        if not attempts:
            return None
        attempts.sort(key=lambda attempt: (attempt.attempt, attempt.batch, attempt.row))
        return Trail(
            key=key,
            run=run.id,
            job=run.job,
            origin=origin,
            carried=carried,
            attempts=tuple(attempts),
            cost=sum(attempt.cost for attempt in attempts),
            list_cost=sum(attempt.list_cost for attempt in attempts),
        )

    async def _rows(self, batch: Batch, key: str) -> AsyncGenerator[tuple[int, Row]]:
        """Find the rows of a batch that belong to a key."""
        if batch.context is None:
            return
        opening = b"[" + msgspec.json.encode(key) + b","
        first = 0
        async for lines in read_frames(self._blobs, batch.context, await read_footer(self._blobs, batch.context)):
            for number, line in enumerate(lines, first):
                if line.startswith(opening):
                    yield number, decode_rows([line])[0]
            first += len(lines)

    async def _attempt(self, run: Run, batch: Batch, number: int, row: Row) -> Attempt:
        setback = await self._setback(batch, number)
        line, answer = await self._answer(batch, number)
        word = setback.word if setback else answer.word if answer else None
        paid, listed = self._cost(batch, answer)
        usage = answer.usage if answer else None
        return Attempt(
            attempt=row.attempt,
            batch=batch.id,
            remote=batch.remote,
            row=number,
            batch_state=batch.state,
            sent=instant(batch.submitted_at) if batch.submitted_at is not None else None,
            ended=instant(batch.ended_at) if batch.ended_at is not None else None,
            word=word.value if word else None,
            fate=_fate(setback, answer),
            error=await self._error(batch, number, row.key, setback, answer),
            request=await self._request(batch, number),
            answer=msgspec.Raw(line) if line is not None else None,
            text=answer.text if answer else "",
            input_tokens=(usage.input_tokens or 0) if usage else 0,
            output_tokens=(usage.output_tokens or 0) if usage else 0,
            cost=paid,
            list_cost=listed,
            arrivals=await self._arrivals(run, batch, number, setback, _fate(setback, answer)),
        )

    async def _setback(self, batch: Batch, number: int) -> Setback | None:
        """Find what became of a row that is not simply good; of one that a sink refused, and later took, what holds now."""
        found = None
        async for setback in every(self._store, Setback, {"batch": batch.id}):
            taken_since = setback.word is Word.SINK_ERROR and setback.decision is Decision.KEEP
            if _has(setback.rows, number) and not taken_since and (found is None or setback.decision is Decision.DEAD):
                found = setback
        return found

    async def _request(self, batch: Batch, number: int) -> msgspec.Raw | None:
        if batch.requests is None:
            return None
        footer = await read_footer(self._blobs, batch.requests)
        return msgspec.Raw(await read_line(self._blobs, batch.requests, footer, number))

    async def _answer(self, batch: Batch, number: int) -> tuple[bytes | None, Answer | None]:
        if batch.lane == LANE:
            return None, None
        for part in batch.results:
            footer = await read_footer(self._blobs, part)
            order = footer.order() or array("I", range(footer.lines))
            if number in order:
                line = await read_line(self._blobs, part, footer, order.index(number))
                return line, self._provider.read([line])[0]
        return None, None

    async def _error(self, batch: Batch, number: int, key: str, setback: Setback | None, answer: Answer | None) -> str:
        if batch.lane == LANE:
            footer = await read_footer(self._blobs, batch.results[0])
            return msgspec.json.decode(await read_line(self._blobs, batch.results[0], footer, number), type=str)
        if answer is not None and answer.error:
            return answer.error
        if setback is not None and (setback.key == key or setback.word is Word.SINK_ERROR):
            return setback.sample
        return batch.why if setback is not None and answer is None else ""

    def _cost(self, batch: Batch, answer: Answer | None) -> tuple[float, float]:
        if answer is None or answer.word not in BILLED:
            return 0.0, 0.0
        price = self._prices.price(answer.model)
        paid, listed = cost(price, answer.usage, batch=True) if price else unpriced(batch.reserved, batch.count)
        return paid / DOLLAR, listed / DOLLAR

    async def _arrivals(
        self, run: Run, batch: Batch, number: int, setback: Setback | None, fate: str
    ) -> tuple[Arrival, ...]:
        """Name the parts that this row was in, in the order of the job's sinks; of those that followed a refusal, the last."""
        sinks = shown(run.summary).named()
        order = list(sinks)
        parts = {
            (part.sink, part.generation): part
            async for part in every(self._store, Delivery, {"batch": batch.id})
            if (not part.only or _has(part.only, number))
            and part.generation == _generation(setback, sinks.get(part.sink))
        }.values()
        places = sorted(parts, key=lambda part: order.index(part.sink) if part.sink in order else len(order))
        return tuple(_arrival(part, sinks.get(part.sink)) for part in places if _is_seen(sinks.get(part.sink), fate))


def _arrival(part: Delivery, sink: ShownSink | None) -> Arrival:
    return Arrival(
        sink=part.sink,
        where=sink.where if sink else part.sink,
        state=part.state,
        part=part.id,
        receipt=part.receipt,
        why=part.why,
    )


def _has(bits: bytes, row: int) -> bool:
    return row >> 3 < len(bits) and bool(bits[row >> 3] >> (row & 7) & 1)


def _fate(setback: Setback | None, answer: Answer | None) -> str:
    match setback:
        case Setback(decision=Decision.AGAIN):
            return "asked again"
        case Setback(decision=Decision.DEAD, word=Word.SINK_ERROR):
            return REFUSED
        case Setback(decision=Decision.DEAD):
            return "dead"
        case Setback():
            return "accepted as it is"
        case None:
            return "good" if answer is not None and answer.word is Word.OK else "under way"


def _generation(setback: Setback | None, sink: ShownSink | None) -> int:
    """Say in which of a sink's parts a row is: rows that died later than their batch was collected came in later ones."""
    if setback is None or setback.decision is not Decision.DEAD:
        return 0
    was_good = setback.word is Word.SINK_ERROR and (sink is None or sink.on != "dead")
    return 0 if was_good else setback.generation


def _is_seen(sink: ShownSink | None, fate: str) -> bool:
    """Tell whether a sink gets a row of this fate. A sink of a job in code is not written down: it gets what is good."""
    on = sink.on if sink else "ok"
    good, dead = fate in {"good", "accepted as it is", REFUSED}, fate in {"dead", REFUSED}
    return good if on == "ok" else dead if on == "dead" else good or dead
