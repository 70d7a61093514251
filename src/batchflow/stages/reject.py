"""Records that never became a request, laid down as a batch that never runs: the way to the sinks is the same for all."""

from collections.abc import Sequence
from typing import Any

import msgspec

from batchflow.machine.bitmap import bitmap
from batchflow.model.blob import Blob
from batchflow.model.change import Put, Step
from batchflow.model.state import Batch, BatchState, Decision, Setback
from batchflow.model.words import Word
from batchflow.stages.context import Row, encode_rows
from batchflow.stages.kit import Kit
from batchflow.stages.objects import LinesWriter
from batchflow.stages.route import deliveries

LANE = "unbuildable"


class Reject(msgspec.Struct, frozen=True, gc=False):
    """One record that cannot be asked about, and why."""

    key: str
    origin: str
    word: Word
    reason: str
    carried: dict[str, Any] = {}


async def reject(kit: Kit, rejects: Sequence[Reject]) -> list[Step]:
    """Store the rejects' objects and give the steps that make them dead letters."""
    id = kit.fresh()
    rows = encode_rows([Row(r.key, r.origin, 0, r.carried) for r in rejects], kit.parts.source)
    context = await _lines(kit, f"{kit.run}/{id}/context", rows, len(rejects))
    said = msgspec.json.Encoder().encode_lines([r.reason for r in rejects])
    reasons = await _lines(kit, f"{kit.run}/{id}/reasons", said, len(rejects))
    batch = Batch(
        id=id,
        run=kit.run,
        state=BatchState.FAILED,
        lane=LANE,
        count=len(rejects),
        bytes=0,
        context=context,
        results=(reasons,),
        why="these records never became requests",
    )
    return [Put(batch), *_setbacks(kit, id, rejects), *deliveries(kit, batch, good=0, dead=len(rejects))]


def _setbacks(kit: Kit, batch: str, rejects: Sequence[Reject]) -> list[Put]:
    by_word: dict[Word, list[int]] = {}
    for row, one in enumerate(rejects):
        by_word.setdefault(one.word, []).append(row)
    return [
        Put(
            Setback(
                id=f"{batch}/0/{word}",
                run=kit.run,
                batch=batch,
                attempt=0,
                word=word,
                decision=Decision.DEAD,
                count=len(rows),
                rows=bitmap(rows, len(rejects)),
                key=rejects[rows[0]].key,
                sample=f"{rejects[rows[0]].origin}: {rejects[rows[0]].reason}",
            )
        )
        for word, rows in by_word.items()
    ]


async def _lines(kit: Kit, name: str, lines: bytes, count: int) -> Blob:
    async with kit.blobs.create(name) as blob:
        writer = LinesWriter(blob)
        await writer.write([lines], lines=count, size=len(lines))
        return await writer.finish()
