"""The sink against every promise of a sink, on a real Redis: hashes, and entries of a stream."""

import json

import pytest
from batchflow_redis.sink import redis

from batchflow.plugin import Secret, SinkError
from batchflow.testing import SinkContract
from batchflow.testing.sink import Damage, context, part, part_that_breaks, results


def sink(store, **options):
    return redis(url=Secret(store.url), **options)


@pytest.fixture
def hashes(store):
    """What stands in the hashes, in the order of their names."""

    async def read():
        found = [store.look.hgetall(name) for name in sorted(store.look.scan_iter("t:*"))]
        return [(row["key"], row["text"]) for row in found]

    return read


@pytest.fixture
def entries(store):
    async def read():
        return [(row["key"], row["text"]) for _, row in store.look.xrange("answers")]

    return read


class TestHashes(SinkContract):
    @pytest.fixture
    def make_sink(self, store):
        return lambda: sink(store, prefix="t:")

    @pytest.fixture
    def read_back(self, hashes):
        return hashes


class TestStream(SinkContract):
    @pytest.fixture
    def make_sink(self, store):
        return lambda: sink(store, stream="answers")

    @pytest.fixture
    def read_back(self, entries):
        return entries


class TestStreamOfJson(SinkContract):
    @pytest.fixture
    def make_sink(self, store):
        return lambda: sink(store, stream="answers", format="json", fields={"key": "key", "text": "text"})

    @pytest.fixture
    def read_back(self, store):
        async def read():
            rows = [json.loads(row["json"]) for _, row in store.look.xrange("answers")]
            return [(row["key"], row["text"]) for row in rows]

        return read


async def written(sink, *parts):
    try:
        await sink.open(context(), None)
        return [await sink.write(one) for one in parts]
    finally:
        await sink.close()


async def test_a_hash_that_is_written_again_has_only_its_new_fields(store):
    store.look.hset("t:k000000", mapping={"old": "field"})
    await written(sink(store, prefix="t:", fields={"answer": "text"}), part("p1", results(0, 1)))
    assert store.look.hgetall("t:k000000") == {"answer": "answer 0"}


async def test_hashes_expire_where_that_is_wanted(store):
    await written(sink(store, prefix="t:", expire=60.0), part("p1", results(0, 2)))
    assert all(0 < store.look.ttl(name) <= 60 for name in store.look.keys("t:*"))


async def test_what_is_null_is_left_out_and_structures_are_json(store):
    fields = {"who": "carried", "nothing": "output", "cost": "cost"}
    await written(sink(store, prefix="t:", fields=fields), part("p1", results(0, 1)))
    assert store.look.hgetall("t:k000000") == {"who": '{"tenant":"north"}', "cost": "2.05e-05"}


async def test_a_stream_keeps_about_as_many_entries_as_it_should(store):
    await written(sink(store, stream="answers", maxlen=100), part("p1", results(0, 2000)))
    assert 100 <= store.look.xlen("answers") < 400


async def test_rows_of_a_part_that_broke_are_remembered_until_its_receipt_is_safe(store, entries):
    one = sink(store, stream="answers")
    await one.open(context(), None)
    with pytest.raises(Damage):
        await one.write(part_that_breaks("p1", results(0, 3), Damage()))
    [marker] = store.look.keys("*:batchflow:*")
    assert marker.startswith("{answers}:"), "in a cluster it must be where the stream is"
    receipt = await one.write(part("p1", results(0, 5)))
    assert store.look.scard(marker) == 5
    await one.committed(receipt)
    await one.close()
    assert store.look.keys("*:batchflow:*") == []
    assert await entries() == [(row.key, row.text) for row in results(0, 5)]


async def test_a_receipt_that_was_safe_and_not_told_is_known_at_the_next_opening(store):
    [receipt] = await written(sink(store, stream="answers"), part("p1", results(0, 5)))
    assert store.look.keys("*:batchflow:*")
    again = sink(store, stream="answers")
    await again.open(context(fresh=False), receipt)
    await again.close()
    assert store.look.keys("*:batchflow:*") == []


async def test_two_runs_whose_parts_have_one_name_write_both(store, entries):
    for run in ("run-1", "run-2"):
        one = sink(store, stream="answers")
        await one.open(context(run), None)
        await one.write(part("p1", results(0, 2)))
        await one.close()
    assert len(await entries()) == 4


async def test_a_key_that_is_no_stream_is_refused_when_the_sink_is_opened(store):
    store.look.set("answers", "text")
    with pytest.raises(SinkError, match="has a string called 'answers', not a stream"):
        await written(sink(store, stream="answers"))


@pytest.mark.parametrize("target", [{"prefix": "t:"}, {"stream": "answers"}], ids=["hashes", "stream"])
async def test_a_server_that_is_not_there_is_named_without_its_password(target):
    one = redis(url=Secret("redis://me:s3cret@127.0.0.1:1/0"), **target)
    with pytest.raises(SinkError, match=r"redis://127.0.0.1:1/0 did not answer .* No result is lost") as caught:
        await written(one)
    assert "s3cret" not in str(caught.value) + caught.value.hint


async def test_a_server_that_is_full_says_what_to_do(store):
    one = sink(store, stream="answers")
    await one.open(context(), None)
    store.look.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(SinkError, match="maxmemory") as caught:
            await one.write(part("p1", results(0, 10)))
    finally:
        store.look.config_set("maxmemory", "0")
        await one.close()
    assert "make room" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "`prefix` or `stream`: one of them"),
        ({"prefix": "t:", "stream": "answers"}, "`prefix` or `stream`: one of them"),
        ({"prefix": "t:", "maxlen": 10}, "`maxlen` is only for results that go to a `stream`"),
        ({"stream": "answers", "expire": 10.0}, "`expire` is only for results that go to a `prefix`"),
        ({"prefix": "t:", "expire": 0.0}, "`expire` is 0"),
        ({"stream": "answers", "maxlen": 0}, "`maxlen` is 0"),
        ({"stream": "answers", "fields": {"a": "no.such", "b": "usage.nothing"}}, "field 'b'"),
    ],
)
def test_options_that_cannot_be_are_refused_when_it_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        redis(url=Secret("redis://x"), **options)
