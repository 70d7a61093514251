"""A pack: its rows in order, and what is known of each."""

import msgspec
import pytest

from batchflow.machine.cost import reserve
from batchflow.stages.context import Row, read_context
from batchflow.stages.objects import read_footer, read_frames
from batchflow.stages.pack import Pack


def params(number, **more):
    return msgspec.json.encode({"model": "claude-haiku-4-5", "max_tokens": 100 + number, "n": number} | more)


async def packed(kit, count, *, chunk=7):
    async with Pack(kit) as pack:
        for start in range(0, count, chunk):
            numbers = range(start, min(start + chunk, count))
            await pack.add([params(n) for n in numbers], [Row(f"key {n}", f"in:{n}", 1, {"n": n}) for n in numbers])
        return await pack.seal()


async def test_requests_and_contexts_come_back_in_row_order(kit):
    batch = await packed(kit, 50)
    frames = read_frames(kit.blobs, batch.requests, await read_footer(kit.blobs, batch.requests))
    assert [line async for lines in frames for line in lines] == [params(n) + b"\n" for n in range(50)]
    rows = [row async for some in read_context(kit.blobs, batch.context) for row in some]
    assert rows == [Row(f"key {n}", f"in:{n}", 1, {"n": n}) for n in range(50)]


async def test_a_batch_knows_its_size_and_what_it_may_cost(kit):
    batch = await packed(kit, 50)
    sent = [params(n) for n in range(50)]
    assert (batch.count, batch.bytes) == (50, sum(len(one) + 1 for one in sent))
    price = kit.prices.price("claude-haiku-4-5")
    (weight,) = kit.provider.weigh(sent)
    assert batch.reserved == pytest.approx(reserve(price, weight), abs=8 * price.input * 1000)


async def test_a_pack_that_is_not_sealed_leaves_nothing(kit):
    async with Pack(kit) as pack:
        await pack.add([params(1)], [Row("key", "in:1")])
    assert [name async for name in kit.blobs.list()] == []
