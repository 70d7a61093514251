"""One object a run: the same rows exactly once, whatever was done before, in pieces that a server takes."""

import csv
import io
import json
import os
from itertools import count, product

import boto3
import pytest
from batchflow_s3 import bucket, joining
from batchflow_s3.bucket import Bucket
from batchflow_s3.client import Line, Server
from batchflow_s3.growth import MIB
from batchflow_s3.joining import Limits, OneObject, cut
from batchflow_s3.place import Access, Place
from batchflow_s3.sink import s3
from batchflow_s3.source import s3 as from_s3
from hypothesis import given
from hypothesis import strategies as st

from batchflow.plugin import SinkError
from batchflow.testing import SinkContract
from batchflow.testing.sink import context, part, result, results

GIB = 1024 * MIB
WHOLE = ["_SUCCESS", "_manifest.json", "results.jsonl"]


def made(shelf, **options):
    return s3(url=f"s3://{shelf.bucket}/triage/", endpoint_url=shelf.url, path_style=True, object_per="run", **options)


def large(first, count, text=None):
    """Rows of 64 KiB that cannot be compressed away."""
    return [result(f"k{n:06d}", text or os.urandom(32 * 1024).hex()) for n in range(first, first + count)]


async def session(sink, *parts, last=None, run="run-1", name="sink-1", whole=True):
    receipt = last
    await sink.open(context(run, name, fresh=last is None), last)
    try:
        for one in parts:
            receipt = await sink.write(one)
        if whole:
            await sink.complete()
    finally:
        await sink.close()
    return receipt


def keys_of(shelf, run="run-1", format="jsonl"):
    """Reads the one object as somebody else does."""
    [(_, data)] = [(key, data) for key, data in shelf.data(f"triage/{run}/") if key.endswith(f"/results.{format}")]
    if format.startswith("csv"):
        return [row["key"] for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]
    return [json.loads(line)["key"] for line in data.splitlines()]


def numbered(*spans):
    return [f"k{n:06d}" for span in spans for n in range(*span)]


def lying(shelf, run="run-1"):
    folder = f"triage/{run}/sink-1/"
    return sorted(name.removeprefix(folder) for name in shelf.names(folder))


@pytest.mark.slow
class TestContract(SinkContract):
    """What waits is looked at as the one object that `complete` would make of it, and is left waiting."""

    @pytest.fixture
    def make_sink(self, shelf):
        return lambda: made(shelf, format="jsonl.gz")

    @pytest.fixture
    def read_back(self, shelf):
        async def read():
            folder = "triage/run-1/sink-1/"
            sources = [(name, shelf.get(name)) for name in shelf.names(f"{folder}_parts/")]
            await session(made(shelf, format="jsonl.gz"), last={"any": "receipt"})
            rows = [json.loads(line) for _, data in shelf.data() for line in data.splitlines()]
            for name in shelf.names():
                shelf.delete(name)
            for name, data in sources:
                shelf.put(name, data)
            return [(row["key"], row.get("text", "")) for row in rows]

        return read


@pytest.mark.parametrize("format", ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "csv.zst"])
async def test_every_format_is_one_object_that_others_can_read(shelf, format):
    parts = (part("run-1/a/s/0", results(0, 300)), part("run-1/b/s/0", results(300, 3)))
    await session(made(shelf, format=format), *parts)
    assert lying(shelf) == ["_SUCCESS", "_manifest.json", f"results.{format}"]
    assert keys_of(shelf, format=format) == numbered((0, 303))
    kinds = {"gz": "application/gzip", "zst": "application/zstd"}
    head = shelf.head(f"triage/run-1/sink-1/results.{format}")
    assert head["ContentType"].startswith(kinds.get(format.partition(".")[2], ("application/x-ndjson", "text/csv")))


@pytest.mark.parametrize("format", ["jsonl.zst", "csv.gz"])
async def test_our_own_source_reads_it_to_the_end_and_takes_no_part_for_a_result(shelf, format):
    parts = [part(f"run-1/{n}/s/0", results(n * 10, 10)) for n in range(3)]
    last = await session(made(shelf, format=format), *parts[:2])
    await session(made(shelf, format=format), parts[2], last=last)
    await session(made(shelf, format=format), part("run-1/3/s/0", results(30, 10)), last=last, whole=False)
    source = from_s3(url=f"s3://{shelf.bucket}/triage/", endpoint_url=shelf.url, path_style=True, key="key")
    if format.startswith("jsonl"):
        items = [item async for page in source.read(None) for item in page.items]
        assert [item.key for item in items] == numbered((0, 30))
    else:
        assert keys_of(shelf, format=format) == numbered((0, 30))


async def test_while_a_run_goes_on_its_parts_are_where_no_reader_looks(shelf):
    await session(made(shelf), part("run-1/a/s/0", results(0, 3)), whole=False)
    assert lying(shelf) == ["_parts/1/_a.s.0.jsonl"]
    assert shelf.data() == []


async def test_large_parts_are_copied_by_the_server_and_small_neighbours_gathered(shelf, monkeypatch):
    seen = []
    for name in ("add", "copy"):
        real = getattr(bucket.Parts, name)

        async def noted(self, *asked, name=name, real=real):
            seen.append(name)
            await real(self, *asked)

        monkeypatch.setattr(bucket.Parts, name, noted)
    sizes = (1, 90, 1, 1, 200, 2)
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    sink = made(shelf, format="csv")
    await sink.open(context(), None)
    for n, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        await sink.write(part(f"run-1/{n}/s/0", large(start, size)))
    seen.clear()
    await sink.complete()
    await sink.close()
    # Header, first row and 4.9 MiB of the 90; then 5.6 - 4.9 is too little to be copied; so is what is left of the 200 not.
    assert sorted(seen) == ["add", "add", "add", "copy"]
    assert keys_of(shelf, format="csv") == numbered((0, sum(sizes)))
    assert shelf.uploads() == []


async def test_the_manifest_tells_of_the_one_object(shelf):
    await session(made(shelf), part("p1", results(0, 3)), part("p2", results(3, 3)))
    manifest = json.loads(shelf.get("triage/run-1/sink-1/_manifest.json"))
    url = f"s3://{shelf.bucket}/triage/run-1/sink-1/results.jsonl"
    assert (manifest["count"], [one["url"] for one in manifest["objects"]]) == (1, [url])
    assert manifest["bytes"] == shelf.head("triage/run-1/sink-1/results.jsonl")["ContentLength"]


@pytest.mark.parametrize("format", ["jsonl", "csv.gz"])
async def test_a_run_that_goes_on_adds_to_its_object(shelf, format):
    last = await session(made(shelf, format=format), part("p1", results(0, 3)))
    last = await session(made(shelf, format=format), part("p2", results(3, 2)), last=last, whole=False)
    assert "_SUCCESS" not in lying(shelf)
    assert keys_of(shelf, format=format) == numbered((0, 3)), "what was whole stays until more is whole"
    await session(made(shelf, format=format), last=last)
    assert keys_of(shelf, format=format) == numbered((0, 5))
    assert lying(shelf) == ["_SUCCESS", "_manifest.json", f"results.{format}"]


async def test_an_object_of_many_megabytes_is_added_to_by_the_server(shelf):
    last = await session(made(shelf), part("p1", large(0, 100)))
    await session(made(shelf), part("p2", large(100, 1)), last=last)
    assert keys_of(shelf) == numbered((0, 101))


async def test_one_process_may_go_on_after_it_was_whole(shelf):
    sink = made(shelf)
    await sink.open(context(), None)
    for n in range(3):
        await sink.write(part(f"p{n}", results(n, 1)))
        await sink.complete()
    await sink.close()
    assert keys_of(shelf) == numbered((0, 3))


async def test_a_replay_makes_the_object_anew(shelf):
    parts = [("p1", results(0, 3)), ("p2", results(3, 3)), ("p3", results(6, 3))]
    last = await session(made(shelf), *(part(*one) for one in parts[:2]))
    await session(made(shelf), part(*parts[2]), last=last)
    # Every part comes again, to a sink of which nothing was ever confirmed; the first one twice, for its receipt was lost.
    await session(made(shelf), part(*parts[0]), whole=False)
    assert lying(shelf) == ["_manifest.json", "_parts/1/_part=p1.jsonl"]
    last = await session(made(shelf), part(*parts[0]), whole=False)
    await session(made(shelf), *(part(*one) for one in parts[1:]), last=last)
    assert keys_of(shelf) == numbered((0, 9))
    assert lying(shelf) == WHOLE


async def test_a_replay_of_a_run_with_leftovers_has_no_row_twice(shelf):
    last = await session(made(shelf), part("p1", results(0, 3)))
    await session(made(shelf), part("p2", results(3, 3)), last=last, whole=False)
    await session(made(shelf), part("p1", results(0, 3)), part("p2", results(3, 3)))
    assert keys_of(shelf) == numbered((0, 6))


async def test_a_run_without_rows_has_no_object(shelf):
    await session(made(shelf, format="csv"), part("p1", []))
    assert lying(shelf) == ["_SUCCESS", "_manifest.json"]
    await session(made(shelf, format="csv"))
    assert json.loads(shelf.get("triage/run-1/sink-1/_manifest.json"))["objects"] == []


async def test_a_folder_that_holds_something_is_refused_and_append_puts_runs_side_by_side(shelf):
    await session(made(shelf), part("p1", results(0, 1)))
    with pytest.raises(SinkError, match=r"holds something already: s3://.*/run-1/sink-1/"):
        await session(made(shelf), part("p1", results(1, 1)), run="run-2")
    await session(made(shelf, if_exists="append"), part("p1", results(1, 1)), run="run-2")
    assert (keys_of(shelf), keys_of(shelf, "run-2")) == (numbered((0, 1)), numbered((1, 2)))


async def test_the_object_is_encrypted_as_told(shelf):
    kms = boto3.client("kms", endpoint_url=shelf.url, region_name="us-east-1")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    for run, rows in (("run-1", large(0, 90)), ("run-2", results(0, 1))):
        await session(made(shelf, kms_key=key, if_exists="append"), part("p1", rows), run=run)
        one = shelf.head(f"triage/{run}/sink-1/results.jsonl")
        assert (one["ServerSideEncryption"], one["SSEKMSKeyId"]) == ("aws:kms", key)


async def test_an_object_that_does_not_say_what_is_in_it_is_left_alone(shelf):
    last = await session(made(shelf), part("p1", results(0, 3)))
    shelf.put("triage/run-1/sink-1/results.jsonl", b"precious")
    with pytest.raises(SinkError, match=r"results\.jsonl does not say which parts are in it") as caught:
        await session(made(shelf), part("p2", results(3, 3)), last=last)
    assert "batchflow replay" in caught.value.hint
    assert shelf.get("triage/run-1/sink-1/results.jsonl") == b"precious"
    assert lying(shelf) == WHOLE


class Death(OSError):
    """The process ends here."""


class Mortal:
    """A client whose process dies at its n-th call: before the server hears of it, or with the work done."""

    def __init__(self, client, fate):
        self._client, self._fate = client, fate

    def __getattr__(self, name):
        real = getattr(self._client, name)
        if name == "get_paginator":
            return real

        async def call(**asked):
            self._fate["calls"].append(name)
            at, number = self._fate["at"], len(self._fate["calls"])
            if at and number >= at + self._fate["done"]:
                raise Death
            reply = await real(**asked)
            if number == at:
                if "Body" in reply:
                    reply["Body"].close()
                raise Death
            return reply

        return call


@pytest.fixture
async def fate(monkeypatch, shelf):
    """Who dies gives nothing back. All lives share a client, since making one is half of what a life costs."""
    fate = {"calls": [], "at": 0, "done": False}
    line = Line(Server(Access(endpoint_url=shelf.url, path_style=True)))
    mortal = Mortal(await line.client(), fate)

    async def client(_line):
        return mortal

    async def nothing(_parts):
        pass

    monkeypatch.setattr(Line, "client", client)
    monkeypatch.setattr(joining, "given_back", nothing)
    yield fate
    await line.close()


def copied(shelf, run):
    """Gives a run what the first one has there."""
    for name in shelf.names("triage/run-0/"):
        source = {"Bucket": shelf.bucket, "Key": name}
        shelf.client.copy_object(Bucket=shelf.bucket, Key=name.replace("run-0", run), CopySource=source)


FATES = list(product([64 * 1024], [False, True], [False, True]))


@pytest.mark.parametrize(
    ("size", "done", "more"), [(1, True, True), *(pytest.param(*one, marks=pytest.mark.slow) for one in FATES)]
)
async def test_ended_at_any_call_of_the_completion_it_comes_to_the_same(shelf, fate, size, done, more):
    """Of the second round, so that there is an object already. `more`: parts come before it is completed again."""
    last = await session(made(shelf), part("p", large(0, 84, "x" * size)), run="run-0")
    last = await session(made(shelf), *(part(f"q{n}", results(84 + n, 1)) for n in range(3)), last=last, run="run-0", whole=False)  # fmt: skip
    for at in count(1):
        run, sink = f"run-{at}", made(shelf)
        copied(shelf, run)
        await sink.open(context(run, fresh=False), last)
        fate.update(calls=[], at=at, done=done)
        died = False
        try:
            await sink.complete()
        except SinkError as error:
            died = isinstance(error.__cause__, Death)
        await sink.close()
        fate["at"] = 0
        assert keys_of(shelf, run) in (numbered((0, 84)), numbered((0, 87)))
        await session(made(shelf), *([part("r", results(87, 2))] if more else []), last=last, run=run)
        assert keys_of(shelf, run) == numbered((0, 89 if more else 87)), (at, fate["calls"])
        assert lying(shelf, run) == WHOLE, (at, fate["calls"])
        assert shelf.uploads() == [], (at, fate["calls"])
        if not died:
            break
        for name in shelf.names(f"triage/{run}/"):
            shelf.delete(name)
    assert at > (15 if size > 1 else 12)


SIZES = st.integers(0, 12) | st.integers(0, 200) | st.integers(190, 700)
TINY = Limits(least=5, most=40, largest=200, pieces=12)


@given(st.lists(SIZES, max_size=40))
def test_pieces_hold_every_byte_in_order_and_keep_to_the_limits(sizes):
    pieces = list(cut(sizes, TINY)) if sum(sizes) <= 2000 else []
    if not pieces:
        return
    bytes_of = [(span.source, at) for piece in pieces for span in piece.spans for at in range(span.start, span.end)]
    assert bytes_of == [(source, at) for source, size in enumerate(sizes) for at in range(size)]
    assert len(pieces) <= TINY.pieces
    assert all(TINY.least <= piece.size <= TINY.largest for piece in pieces[:-1])
    assert all(TINY.least <= piece.size and len(piece.spans) == 1 for piece in pieces if piece.copied)


def shape(sizes):
    pieces = list(cut(sizes))
    held = max((piece.size for piece in pieces if not piece.copied), default=0)
    return len(pieces), max(piece.size for piece in pieces) / MIB, held / MIB


@pytest.mark.parametrize(
    ("sizes", "pieces", "largest", "held"),
    [
        ([100 * MIB] * 2000, 2000, 100, 0),
        ([6 * MIB] * 10_000, 10_000, 6, 0),
        ([100 * 1024] * 500_000, 9766, 5, 5),
        ([100 * 1024] * 1_000_000, 9766, 10, 10),
        ([20 * GIB], 20, 1024, 0),
        ([20_000 * GIB], 10_000, 2048, 0),
    ],
)
def test_ten_thousand_pieces_are_enough_and_as_small_as_can_be(sizes, pieces, largest, held):
    assert shape(sizes) == (pieces, largest, held)


def test_more_than_any_server_holds_is_told():
    with pytest.raises(ValueError, match="more than one object holds"):
        cut([51_000 * GIB])


async def test_a_run_that_is_too_large_is_told_and_keeps_its_parts(shelf):
    await session(made(shelf), part("p1", results(0, 300)), whole=False)
    tiny = Limits(least=5, most=40, largest=200, pieces=12)
    place = Bucket(Place(shelf.bucket), Server(Access(endpoint_url=shelf.url, path_style=True)))
    one = OneObject(place, "triage/run-1/sink-1/", "jsonl", "text/plain", limits=tiny)
    with pytest.raises(SinkError, match=r"more than one object holds\..*Every result is there, in its part") as caught:
        await one.join(b"")
    await place.close()
    assert "object_per: part" in caught.value.hint
    assert lying(shelf) == ["_parts/1/_part=p1.jsonl"]


def test_a_source_knows_that_it_would_read_the_one_object():
    [target] = s3(url="s3://lake/out", object_per="run").targets()
    assert from_s3(url="s3://lake/out/**/results.jsonl").covers(target)
    assert not from_s3(url="s3://lake/out/*.jsonl").covers(target)
