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
