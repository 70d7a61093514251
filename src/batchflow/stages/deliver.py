"""Deliver: give one part to one sink, and commit its receipt. A sink that fails holds up only its own parts."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from batchflow.machine.backoff import backoff
from batchflow.machine.batch import Delivered, step
from batchflow.machine.bitmap import rows_of
from batchflow.model import errors
from batchflow.model.change import Count, Put
from batchflow.model.result import Result
from batchflow.model.state import Batch, BatchState, Decision, Delivery, DeliveryState, Setback
from batchflow.model.state import Outlet as LastReceipt
from batchflow.model.words import Word
from batchflow.ports.sink import Part, Receipt, Releasing, Sink, Written
from batchflow.stages.asked import Beat, asked, let_go, where_of
from batchflow.stages.context import Row
from batchflow.stages.decline import decline, rows_of_part, strangers
from batchflow.stages.join import Joiner
from batchflow.stages.kit import Kit, On, Outlet
from batchflow.stages.mend import mend
from batchflow.stages.objects import read_footer, read_frames
from batchflow.stages.reject import LANE
from batchflow.stages.verdicts import examine
from batchflow.stages.wall import misgiven

ATTEMPTS = 6
"""Failed writes after which a part is parked until somebody resumes the run."""


class Fates(msgspec.Struct):
    """What was decided about a batch's rows that were not simply good."""

    again: set[int]
    dead: dict[int, tuple[Word, str]]
    kept: set[int]


async def deliver(kit: Kit, id: str, outlet: Outlet) -> None:
    """Write one part, and commit the receipt; rows that the sink's target refuses become dead letters."""
    delivery = await kit.store.get(Delivery, id)
    if delivery is None or delivery.state is not DeliveryState.DUE:
        return
    batch = await kit.batch(delivery.batch)
    only = await rows_of_part(kit, delivery, batch)
    rows = rows_for(kit, batch, "dead" if delivery.generation else outlet.on, delivery.generation, only)
    try:
        written = await _written(kit, outlet, delivery, batch, rows)
    except (errors.SinkError, errors.PluginError) as error:
        if isinstance(error, errors.PluginHung):
            kit.parts.hung[outlet.name] = error.message
        await _fail(kit, delivery, _told(error), later=error.again is not errors.Again.NEVER)
    except errors.ObjectDamaged as damage:
        await _mended(kit, delivery, damage)
    else:
        await _confirm(kit, delivery, outlet.sink, written)
        await settle(kit, delivery.batch)
    finally:
        await rows.aclose()


async def _written(
    kit: Kit, outlet: Outlet, delivery: Delivery, batch: Batch, rows: AsyncGenerator[Sequence[Result]]
) -> Written:
    if before := kit.parts.hung.get(outlet.name):
        raise errors.PluginHung(f"not tried again in this process: {before}")
    sink, beat = outlet.sink, Beat()
    doing, write = (
        f"while it wrote part {delivery.id}",
        partial(sink.write, Part(name=delivery.id, rows=_felt(rows, beat))),
    )
    given = await asked(sink, doing, write, within=kit.parts.rules.plugin_timeout, beat=beat, where=where_of(sink))
    written = given if isinstance(given, Written) else Written(receipt=given)
    if not _is_receipt(written.receipt):
        raise misgiven(sink, doing, given, "a receipt (a dict of JSON), or `Written`")
    if odd := strangers(batch, written.refused):
        raise misgiven(sink, doing, odd[0], f"rows of the part as refused: they are numbered 0 to {batch.count - 1}")
    return written


def _is_receipt(receipt: Any) -> bool:
    """Tell whether it can be kept: a plugin's, whatever its type says."""
    try:
        return isinstance(receipt, dict) and bool(msgspec.json.encode(receipt))
    except (TypeError, ValueError, msgspec.MsgspecError):
        return False


async def _felt(rows: AsyncGenerator[Sequence[Result]], beat: Beat) -> AsyncGenerator[Sequence[Result]]:
    """Hand rows on: a sink that takes some is alive, and what it waits for meanwhile is us."""
    async for chunk in rows:
        beat.again()
        yield chunk
        del chunk  # rows may be large, and the next ones are made now
        beat.again()


async def _confirm(kit: Kit, delivery: Delivery, sink: Sink, written: Written) -> None:
    done = msgspec.structs.replace(
        delivery,
        version=delivery.version + 1,
        state=DeliveryState.DONE,
        rows=delivery.rows - len(written.refused),
        receipt=written.receipt,
        wake_at=None,
        why="",
    )
    text = f"{done.rows} rows to {delivery.sink}"
    while True:
        last = await _receipt_now(kit, delivery, written.receipt)
        refused = await decline(kit, delivery, written.refused)
        try:
            await kit.commit(Put(done), Put(last), kit.event("part.delivered", delivery.id, text), *refused)
        except errors.Stale as stale:
            # Another sink refused rows of the same batch meanwhile; what is written is not to be written twice for that.
            if stale.subject != delivery.batch:
                raise
            continue
        break
    if isinstance(sink, Releasing):
        # The part is delivered, and a sink may never hear of it: a failure here undoes nothing.
        release = partial(sink.committed, written.receipt)
        doing = f"when it was told that part {delivery.id} is safe"
        await let_go(sink, doing, release, within=kit.parts.rules.plugin_timeout)


async def _receipt_now(kit: Kit, delivery: Delivery, receipt: Receipt) -> LastReceipt:
    last = await kit.store.get(LastReceipt, f"{kit.run}/{delivery.sink}")
    if last is None:
        return LastReceipt(id=f"{kit.run}/{delivery.sink}", run=kit.run, sink=delivery.sink, receipt=receipt)
    return msgspec.structs.replace(last, version=last.version + 1, receipt=receipt)


async def _mended(kit: Kit, delivery: Delivery, damage: errors.ObjectDamaged) -> None:
    """Have damaged results fetched again, and come back for them. It counts as a try: the disk may be at fault."""
    trouble = await mend(kit, delivery.batch, damage)
    if trouble is None:
        await _fail(kit, delivery, f"{damage.message} They were fetched again", later=True)
    else:
        await _fail(kit, delivery, trouble.why, later=trouble.later)


async def _fail(kit: Kit, delivery: Delivery, why: str, *, later: bool) -> None:
    """Try again later, and park the part when that does not help."""
    attempts = delivery.attempts + 1
    parked = attempts >= ATTEMPTS or not later
    failed = msgspec.structs.replace(
        delivery,
        version=delivery.version + 1,
        attempts=attempts,
        why=why,
        state=DeliveryState.PARKED if parked else DeliveryState.DUE,
        wake_at=None if parked else kit.now() + backoff(attempts),
    )
    kind = "part.parked" if parked else "part.failed"
    await kit.commit(Put(failed), kit.event(kind, delivery.id, why))


def _told(error: errors.SinkError | errors.PluginError) -> str:
    """Tell what a sink says is wrong, and what it says to do: whoever resumes the run knows neither."""
    ours = isinstance(error, errors.PluginError) or not error.hint
    return error.message if ours else f"{error.message} ({error.hint})"


async def settle(kit: Kit, id: str) -> None:
    """Call a batch delivered once every sink has confirmed what it takes."""
    batch = await kit.batch(id)
    if batch.state is not BatchState.COLLECTED:
        return
    parts = await kit.store.find(Delivery, {"batch": id})
    if all(part.state in {DeliveryState.DONE, DeliveryState.REFUSED} for part in parts):
        stepped = step(batch, Delivered())
        await kit.commit(Put(stepped.batch), Count(kit.run, stepped.books), kit.event("batch.delivered", batch.id))


async def rows_for(
    kit: Kit, batch: Batch, on: On, generation: int | None = None, only: Collection[int] | None = None
) -> AsyncGenerator[Sequence[Result]]:
    """Stream the rows that a sink of this kind sees, `only` some of them; dead letters of one generation of parts, or of all."""
    fates = await _fates(kit, batch, generation)
    if batch.lane == LANE:
        if on != "ok":
            async for chunk in _rejects(kit, batch):
                yield chunk if only is None else [result for result in chunk if result.row in only]
        return
    if only is not None:
        fates.dead = {row: fate for row, fate in fates.dead.items() if row in only}
    joiner = Joiner(kit, batch, batch.results)
    async with kit.hold(await joiner.memory()) as held:
        lined: set[int] = set()
        async with aclosing(joiner.results(_asked(batch, on, fates, only), room=held)) as results:
            async for chunk in results:
                if on != "ok" and fates.dead:
                    lined.update(result.row for result in chunk if result.row in fates.dead)
                if not fates.dead and not kit.parts.checks:
                    yield chunk
                    continue
                doing = f"on the answers from {chunk[0].key!r} on" if chunk else ""
                yield await kit.parts.aside(kit.parts.checks, doing, partial(_finals, kit, chunk, fates))
        if on != "ok":
            unanswered = {row: fate for row, fate in fates.dead.items() if row not in lined}
            async with aclosing(joiner.bare(unanswered)) as results:
                async for chunk in results:
                    yield chunk


def _asked(batch: Batch, on: On, fates: Fates, only: Collection[int] | None) -> set[int] | None:
    """Name the rows that a sink sees; None is all of them."""
    if on == "dead":
        return set(fates.dead)
    hidden = fates.again if on == "all" else fates.again | fates.dead.keys()
    if only is None and not hidden:
        return None
    return set(range(batch.count) if only is None else only) - hidden


def _finals(kit: Kit, chunk: Sequence[Result], fates: Fates) -> Sequence[Result]:
    return [_final(kit, result, fates) for result in chunk]


def _final(kit: Kit, result: Result, fates: Fates) -> Result:
    """Give a result the shape the sinks see: checked, or with the word it died of."""
    if result.row in fates.dead:
        word, why = fates.dead[result.row]
        examined = examine(result, kit.parts.checks) if result.word is Word.OK else result
        return msgspec.structs.replace(examined, word=word, error=examined.error or why)
    if result.word is Word.OK and kit.parts.checks:
        return examine(result, kit.parts.checks)
    return result


async def _fates(kit: Kit, batch: Batch, generation: int | None) -> Fates:
    fates = Fates(set(), {}, set())
    for setback in await kit.every(Setback, {"batch": batch.id}):
        rows = list(rows_of(setback.rows))
        other = generation is not None and setback.generation != generation
        if other and setback.word is Word.SINK_ERROR:
            continue  # one sink refused them; to the others they are what they were
        if setback.decision is Decision.KEEP:
            fates.kept.update(rows)
        elif setback.decision is Decision.AGAIN or other:
            fates.again.update(rows)
        else:
            fates.dead.update(dict.fromkeys(rows, (setback.word, _why(setback))))
    return fates


def _why(setback: Setback) -> str:
    """Give the reason that is true of all its rows: the sample of rows that were asked begins with the key of one."""
    return setback.sample.partition(": ")[2] if setback.attempt and ": " in setback.sample else setback.sample


async def _rejects(kit: Kit, batch: Batch) -> AsyncGenerator[list[Result]]:
    """Stream records that never became requests, each with its reason."""
    assert batch.context is not None
    words = (await _fates(kit, batch, None)).dead
    contexts = read_frames(kit.blobs, batch.context, await read_footer(kit.blobs, batch.context))
    reasons = read_frames(kit.blobs, batch.results[0], await read_footer(kit.blobs, batch.results[0]))
    decode, row = msgspec.json.Decoder(Row).decode, 0
    lines = [msgspec.json.decode(line, type=str) async for chunk in reasons for line in chunk]
    async for chunk in contexts:
        out: list[Result] = []
        for line in chunk:
            context = decode(line)
            word = words.get(row, (Word.BUILD_ERROR, ""))[0]
            out.append(
                Result(
                    key=context.key,
                    word=word,
                    attempt=0,
                    batch=batch.id,
                    row=row,
                    origin=context.origin,
                    carried=context.carried,
                    error=lines[row],
                )
            )
            row += 1
        yield out
