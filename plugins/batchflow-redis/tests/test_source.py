"""The source against every promise of a source, on a real Redis."""

import msgspec
import pytest
from batchflow_redis.source import redis

from batchflow.plugin import Secret
from batchflow.testing import SourceContract


def queue(store, **options):
    return redis(url=Secret(store.url), **{"stream": "queue", "consumer": "me", "key": "id"} | options)


def fill(store, records, stream="queue"):
    line = store.look.pipeline()
    for record in records:
        line.xadd(stream, record)
    return line.execute()


class Queue:
    def __init__(self, store):
        self._store = store

    def fill(self, records):
        self.remove()
        fill(self._store, records)
        if not records:
            self._store.look.xgroup_create("queue", "batchflow", mkstream=True)

    def source(self):
        return queue(self._store)

    def remove(self):
        self._store.look.delete("queue")

    def spoil(self, records):
        self.fill(records[:1])
        self._store.look.xadd("queue", {"text": "no key"})
        self._store.look.xadd("queue", {b"id": b"x", b"text": b"\xff"})
        self._store.look.xadd("queue", {"id": "", "text": "empty key"})
        fill(self._store, records[1:])
        return 3


class TestRedis(SourceContract):
    fingerprinted = False

    @pytest.fixture
    def place(self, store):
        return Queue(store)


class TestRedisWithPayload(SourceContract):
    fingerprinted = False

    @pytest.fixture
    def place(self, store):
        return Payloads(store)


class Payloads(Queue):
    def fill(self, records):
        super().fill([{"body": msgspec.json.encode(record)} for record in records])

    def spoil(self, records):
        self.fill(records[:1])
        for bad in (b"{", b"[1]", b'{"id": {}}', b'{"id": "\xff"}', b'{"id": "\\ud800"}'):
            self._store.look.xadd("queue", {"body": bad})
        self._store.look.xadd("queue", {"other": "field"})
        fill(self._store, [{"body": msgspec.json.encode(record)} for record in records[1:]])
        return 6

    def source(self):
        return queue(self._store, payload="body")
