"""The source against every promise of a source, on a real Redis; and what becomes of entries whose run dies."""

import anyio.lowlevel
import msgspec
import pytest
from batchflow_redis.source import redis

from batchflow.plugin import Idle, Record, Secret, SourceError, Unreadable
from batchflow.testing import SourceContract
from batchflow.testing.source import given, items_of, pages_of, told


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


def ids(items):
    return [item.origin.partition(":")[2] for item in items]


async def taken(source, count, after=None):
    """Reads until there are so many items, and lets the source go: a run that dies with these in hand."""
    items, cursor = [], after
    pages = source.read(after)
    async for page in pages:
        items += page.items
        cursor = page.cursor
        if len(items) >= count:
            break
    await pages.aclose()
    return items, cursor


def silence(store):
    """For how many milliseconds nobody has said anything of what was handed out."""
    return min(one["time_since_delivered"] for one in store.look.xpending_range("queue", "batchflow", "-", "+", 30))


async def committed_by(source, after=None):
    """Reads and commits everything, as a run does."""
    items = []
    async for page in source.read(after):
        items += page.items
        await source.committed([item.key for item in page.items])
    await source.committed([])
    return items


async def test_an_entry_is_acknowledged_when_it_is_committed_and_not_before(store):
    all = fill(store, given(10))
    source = queue(store)
    items = await items_of(source)
    assert store.held() == all
    await source.committed([item.key for item in items[:4]])
    assert store.held() == all[4:]
    await source.committed([item.key for item in items[4:]])
    await source.committed([])
    assert store.held() == []
    assert store.consumers() == {}, "who has ended is forgotten"


async def test_what_was_committed_and_not_acknowledged_is_acknowledged_by_the_next_process_and_not_given_again(store):
    all = fill(store, given(1200))
    first = queue(store)
    _, cursor = await taken(first, 500)
    assert store.held() == all[:500]
    second = queue(store)
    assert told(await committed_by(second, cursor)) == given(1200)[500:]
    assert store.held() == []


async def test_what_a_dead_process_committed_of_a_page_is_acknowledged_with_the_rest_of_it(store):
    fill(store, given(10))
    pages = await pages_of(queue(store))
    assert [len(page.items) for page in pages] == [1, 9], "no run stops in the middle of one entry"
    again = queue(store)
    [rest] = [page async for page in again.read(pages[0].cursor)]
    # The run had committed 5 of these 9 and died: it passes them over, and nobody tells of them again.
    await again.committed([item.key for item in rest.items[5:]])
    await again.committed([])
    assert store.held() == []


async def test_keys_that_come_twice_are_acknowledged_entry_by_entry(store):
    all = fill(store, [{"id": "same", "text": "1"}, {"id": "other", "text": "2"}, {"id": "same", "text": "3"}])
    source = queue(store)
    await items_of(source)
    await source.committed(["same"])
    await source.committed(["same"])
    assert store.held() == all[1:], "told twice, it is no different"
    await source.committed(["other", "same"])
    assert store.held() == []


async def test_two_runs_share_a_stream_and_no_entry_comes_to_both(store):
    fill(store, given(1500))
    one, _ = await taken(queue(store, consumer="one"), 400)
    two = await committed_by(queue(store, consumer="two"))
    assert len(one) == 500
    assert not {item.key for item in one} & {item.key for item in two}
    assert len(one) + len(two) == 1500


async def test_what_a_dead_run_had_in_hand_is_taken_over_when_it_has_been_silent_for_long_enough(store):
    fill(store, given(30))
    dead, cursor = await taken(queue(store, consumer="dead"), 30)
    assert await committed_by(queue(store, consumer="early")) == []
    while (
        min(one["time_since_delivered"] for one in store.look.xpending_range("queue", "batchflow", "-", "+", 30)) < 50
    ):
        pass
    heir = await committed_by(queue(store, consumer="heir", visibility=0.05))
    assert heir == dead
    assert store.held() == []
    assert await items_of(queue(store, consumer="dead"), cursor) == []


async def test_what_is_taken_over_is_older_than_what_was_read_and_survives_a_restart(store):
    old = fill(store, given(5))
    await taken(queue(store, consumer="dead"), 5)
    fill(store, given(20)[5:])
    while (
        min(one["time_since_delivered"] for one in store.look.xpending_range("queue", "batchflow", "-", "+", 30)) < 50
    ):
        pass
    first = queue(store, consumer="heir", visibility=0.05)
    items, cursor = await taken(first, 15)
    assert ids(items)[0] > old[-1]
    [*_, last] = await pages_of(queue(store, consumer="heir", visibility=0.05), cursor)
    assert ids(last.items)[-1] == old[-1], "it has been taken over, and given out"
    # That process died, too, without a commit of these; what it had committed is the first fifteen.
    again = await committed_by(queue(store, consumer="heir"), cursor)
    assert ids(again) == old
    assert store.held() == []


async def test_what_another_run_took_over_in_the_middle_of_a_page_is_no_record_of_ours(store):
    fill(store, given(4))
    head = (await pages_of(queue(store, consumer="slow")))[0]
    while (
        min(one["time_since_delivered"] for one in store.look.xpending_range("queue", "batchflow", "-", "+", 30)) < 50
    ):
        pass
    heir = queue(store, consumer="heir", visibility=0.05)
    await taken(heir, 4)
    held = store.held()
    slow = queue(store, consumer="slow")
    items = await items_of(slow, head.cursor)
    assert [type(item) for item in items] == [Unreadable] * 3
    assert all("took this entry over" in item.reason and not item.key for item in items)
    await slow.committed([])
    assert store.held() == held, "what the heir has is not ours to acknowledge"


async def test_what_waits_in_hand_for_long_is_not_taken_over_while_its_run_lives(store):
    fill(store, given(10))
    slow = queue(store, consumer="slow", visibility=0.3)
    pages = slow.read(None)
    await anext(pages)
    before = 0
    while (silent := silence(store)) >= before:  # until it has said that it is alive, though nobody asks it for more
        before = silent
        assert silent < 10_000, "it says nothing, and what it has will be taken"
        await anyio.lowlevel.checkpoint()
    assert await items_of(queue(store, consumer="heir", visibility=0.3)) == []
    await pages.aclose()


async def test_a_source_that_waits_forever_is_idle_and_gives_what_comes(store):
    source = queue(store, until="forever", poll=0.25)
    pages = source.read(None)
    assert await anext(pages) == Idle(0.25)
    fill(store, given(2))
    assert told((await anext(pages)).items + (await anext(pages)).items) == given(2)
    assert await anext(pages) == Idle(0.25)
    await pages.aclose()


async def test_without_a_key_a_record_is_named_by_its_entry(store):
    [id] = fill(store, [{"text": "hello"}])
    assert await items_of(queue(store, key=None)) == [Record(id, {"text": "hello"}, f"queue:{id}")]


async def test_an_entry_that_was_trimmed_in_hand_is_a_dead_letter_and_is_acknowledged(store):
    fill(store, given(3))
    await taken(queue(store), 3)
    store.look.xtrim("queue", maxlen=1, approximate=False)
    items = await committed_by(queue(store))
    assert [type(item) for item in items] == [Unreadable, Unreadable, Record]
    assert "trimmed" in items[0].reason
    assert store.held() == []


async def test_acknowledged_entries_are_deleted_where_that_is_wanted(store):
    fill(store, given(10))
    await committed_by(queue(store, delete=True))
    assert store.look.xlen("queue") == 0


async def test_a_run_keeps_the_name_that_it_made_up(store, tmp_path):
    fill(store, given(3))
    mine = {"consumer": None, "spool": tmp_path / "spool" / "triage"}
    items, _ = await taken(queue(store, **mine), 3)
    assert await committed_by(queue(store, **mine)) == items
    fill(store, given(1))
    await taken(queue(store, consumer=None, spool=tmp_path / "other"), 1)
    assert await items_of(queue(store, **mine)) == []


async def test_a_key_that_holds_something_else_is_named(store):
    store.look.set("queue", "text")
    with pytest.raises(SourceError, match=r"redis://127.0.0.1:\d+/0 said no \(WRONGTYPE") as caught:
        await items_of(queue(store))
    assert "holds something else" in caught.value.hint


async def test_a_server_that_is_not_there_is_named_without_its_password():
    source = redis(url=Secret("redis://me:s3cret@127.0.0.1:1/0"), stream="queue", consumer="me")
    with pytest.raises(SourceError, match=r"redis://127.0.0.1:1/0 did not answer") as caught:
        await items_of(source)
    assert "s3cret" not in str(caught.value) + caught.value.hint


async def test_a_cursor_of_another_source_is_refused(store):
    fill(store, given(1))
    with pytest.raises(SourceError, match="not made by this kind of source"):
        await items_of(queue(store), {"file": "a", "offset": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": Secret("http://me:s3cret@x")}, "`url` should begin with redis://"),
        ({"url": Secret("redis://x:port")}, "`url` cannot be read"),
        ({"poll": 0}, "`poll` is 0"),
        ({"visibility": -1}, "`visibility` is -1"),
        ({"consumer": None}, "`consumer` is needed outside of a job file"),
    ],
)
def test_options_that_cannot_be_are_refused_when_it_is_made(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        redis(**{"url": Secret("redis://x"), "stream": "queue", "consumer": "me"} | options)
    assert "s3cret" not in str(caught.value)
