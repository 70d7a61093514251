"""The join: answers meet their records, in source order where there is room, and losers never appear."""

import tracemalloc
from array import array

import msgspec
import pytest

from batchflow.machine.cost import cost
from batchflow.model.result import Usage
from batchflow.model.state import Batch
from batchflow.model.words import Word
from batchflow.stages.context import Row
from batchflow.stages.join import CHUNK, Joiner
from batchflow.stages.objects import NO_ROW, LinesWriter
from batchflow.stages.pack import Pack

MODEL = "claude-haiku-4-5"
MANY = 2 * CHUNK + 100


def line(row, text, kind="succeeded"):
    message = {
        "model": MODEL,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 100 + row, "output_tokens": 10},
    }
    return msgspec.json.encode({"custom_id": f"t-{row}", "result": {"type": kind, "message": message}})


async def drafted(kit, count):
    async with Pack(kit) as pack:
        await pack.add([b"{}"] * count, [Row(f"key {n}", f"in:{n}", 2, {"n": n}) for n in range(count)])
        return await pack.seal()


async def part(kit, name, lines, rows):
    async with kit.blobs.create(name) as blob:
        writer = LinesWriter(blob)
        await writer.write_values(lines)
        return await writer.finish(array("I", rows))


async def joined(kit, batch: Batch, parts, only=None, *, ordered=True):
    joiner = Joiner(kit, batch, parts)
    size = await joiner.memory()
    chunks = [chunk async for chunk in joiner.results(only, room=size if ordered else 0)]
    assert all(chunks)
    return [result for chunk in chunks for result in chunk]


async def backwards(kit):
    """A batch of many rows whose results came in the opposite order."""
    batch = await drafted(kit, MANY)
    rows = list(range(MANY))[::-1]
    return batch, await part(kit, "results", [line(row, f"text {row}") for row in rows], rows)


async def test_source_order_where_there_is_room(kit):
    batch, results = await backwards(kit)
    assert [result.row for result in await joined(kit, batch, [results])] == list(range(MANY))


async def test_arrival_order_where_there_is_none(kit):
    batch, results = await backwards(kit)
    assert [result.row for result in await joined(kit, batch, [results], ordered=False)] == list(range(MANY))[::-1]


@pytest.mark.parametrize("ordered", [True, False])
async def test_each_answer_meets_its_own_record(kit, ordered):
    batch, results = await backwards(kit)
    for result in await joined(kit, batch, [results], ordered=ordered):
        row = result.row
        assert (result.key, result.origin, result.carried) == (f"key {row}", f"in:{row}", {"n": row})
        assert (result.text, result.word, result.attempt) == (f"text {row}", Word.OK, 2)
        usage = Usage(input_tokens=100 + row, output_tokens=10)
        assert (result.cost, result.list_cost) == cost(kit.prices.price(MODEL), usage, batch=True)


@pytest.mark.parametrize("ordered", [True, False])
async def test_only_the_rows_that_were_asked_for(kit, ordered):
    batch, results = await backwards(kit)
    wanted = {3, CHUNK, MANY - 1}
    found = await joined(kit, batch, [results], wanted, ordered=ordered)
    assert {result.row for result in found} == wanted
    assert len(found) == 3


@pytest.mark.parametrize("ordered", [True, False])
async def test_lines_that_lost_do_not_appear(kit, ordered):
    batch = await drafted(kit, 3)
    first = await part(kit, "one", [line(0, "loser"), line(1, "b"), line(9, "foreign")], [NO_ROW, 1, NO_ROW])
    second = await part(kit, "two", [line(0, "winner")], [0])
    found = await joined(kit, batch, [first, second], ordered=ordered)
    assert {result.row: result.text for result in found} == {0: "winner", 1: "b"}


async def test_rows_without_a_line_are_made_from_their_records(kit):
    batch = await drafted(kit, 3)
    joiner = Joiner(kit, batch, [])
    await joiner.memory()
    [[bare]] = [chunk async for chunk in joiner.bare({2: (Word.MISSING, "no line came back")})]
    assert (bare.key, bare.word, bare.error, bare.attempt) == ("key 2", Word.MISSING, "no line came back", 2)


BULKY, WEIGHT = 2_000, 10_000


async def bulky(kit):
    """A batch whose records carry 20 MB, and whose short answers came in the opposite order."""
    async with Pack(kit) as pack:
        for start in range(0, BULKY, 100):
            rows = [
                Row(f"key {n}", f"in:{n}", 1, {"note": f"{n} ".ljust(WEIGHT, "x")}) for n in range(start, start + 100)
            ]
            await pack.add([b"{}"] * len(rows), rows)
        batch = await pack.seal()
    rows = list(range(BULKY))[::-1]
    return batch, await part(kit, "results", [line(row, f"text {row}") for row in rows], rows)


async def peak_of(results):
    """How much memory was held at most while results went by, and what they were."""
    found = []
    tracemalloc.start()
    try:
        async for chunk in results:
            found += [(result.row, result.key, result.text, result.carried["note"][:5].split()[0]) for result in chunk]
        return tracemalloc.get_traced_memory()[1], found
    finally:
        tracemalloc.stop()


async def test_large_carried_columns_are_joined_a_window_at_a_time(kit):
    batch, results = await bulky(kit)
    joiner = Joiner(kit, batch, [results])
    assert await joiner.memory() > 20_000_000
    held, found = await peak_of(joiner.results(None, room=4_000_000))
    assert sorted(found) == [(row, f"key {row}", f"text {row}", str(row)) for row in range(BULKY)]
    assert held < 14_000_000


async def test_rows_without_a_line_are_made_a_window_at_a_time(kit):
    batch, _ = await bulky(kit)
    fates = dict.fromkeys(range(BULKY), (Word.MISSING, "no line came back"))
    held, found = await peak_of(Joiner(kit, batch, []).bare(fates))
    assert found == [(row, f"key {row}", "", str(row)) for row in range(BULKY)]
    assert held < 14_000_000
