"""The sink against every promise of a sink, on a real server; and what a bucket looks like to somebody else."""

import json
import os
import socket

import boto3
import pytest
from batchflow_s3.growth import S3
from batchflow_s3.sink import s3
from buckets import rows_of

from batchflow.plugin import Completing, Part, SinkError
from batchflow.testing import SinkContract
from batchflow.testing.sink import Damage, context, part, part_that_breaks, result, results


def made(shelf, **options):
    return s3(url=f"s3://{shelf.bucket}/triage/", endpoint_url=shelf.url, path_style=True, **options)


class TestJsonLines(SinkContract):
    """Compressed CSV is held to it on SeaweedFS."""

    @pytest.fixture
    def make_sink(self, shelf):
        return lambda: made(shelf, format="jsonl")

    @pytest.fixture
    def read_back(self, shelf):
        async def read():
            return list(rows_of(shelf, "jsonl"))

        return read


async def session(sink, *parts, last=None, fresh=True, run="run-1", name="sink-1", whole=False):
    receipt = last
    await sink.open(context(run, name, fresh=fresh), last)
    try:
        for one in parts:
            receipt = await sink.write(one)
        if whole:
            await sink.complete()
    finally:
        await sink.close()
    return receipt


async def test_a_parts_key_is_made_of_its_name_and_is_the_same_every_time(shelf):
    for _ in range(2):
        receipt = await session(made(shelf), part("run-1/batch-7/sink-1/0", results(0, 3)))
    assert shelf.names() == ["triage/run-1/sink-1/batch-7.sink-1.0.jsonl"]
    assert receipt["key"] == shelf.names()[0]
    assert receipt["rows"] == 3
    assert receipt["bytes"] == len(shelf.get(receipt["key"]))


@pytest.mark.parametrize("format", ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "csv.zst"])
async def test_every_format_is_read_by_others_and_says_what_it_is(shelf, format):
    await session(made(shelf, format=format), part("p1", results(0, 700)), part("p2", results(700, 3)))
    assert [key for key, _ in rows_of(shelf, format)] == [f"k{n:06d}" for n in range(703)]
    head = shelf.head(shelf.names()[0])
    kinds = {"gz": "application/gzip", "zst": "application/zstd"}
    assert head["ContentType"].startswith(kinds.get(format.partition(".")[2], ("application/x-ndjson", "text/csv")))
    assert "ContentEncoding" not in head


async def test_the_same_rows_make_the_same_bytes(shelf):
    before = await session(made(shelf, format="jsonl.gz"), part("p1", results(0, 700)))
    data = shelf.get(before["key"])
    await session(made(shelf, format="jsonl.gz"), part("p1", results(0, 700)))
    assert shelf.get(before["key"]) == data


async def test_fields_name_the_members(shelf):
    await session(made(shelf, fields={"id": "key", "who": "tenant", "is": "'done'"}), part("p1", results(0, 1)))
    [(_, data)] = shelf.data()
    assert json.loads(data) == {"id": "k000000", "who": "north", "is": "done"}


@pytest.mark.parametrize("there", ["triage/old.jsonl", "triage/run-0/sink-1/x.jsonl"])
async def test_a_folder_that_holds_something_is_refused_and_left_alone(shelf, there):
    shelf.put(there, b"precious")
    with pytest.raises(SinkError, match=f"holds something already: s3://{shelf.bucket}/{there}") as caught:
        await session(made(shelf), part("p1", results(0, 1)))
    assert "if_exists: append" in caught.value.hint
    assert shelf.names() == [there]


async def test_a_run_that_goes_on_does_not_mind_what_came_meanwhile(shelf):
    last = await session(made(shelf), part("p1", results(0, 1)))
    shelf.put("triage/notes.txt", b"")
    await session(made(shelf), part("p2", results(1, 1)), last=last, fresh=False)
    assert len(shelf.names("triage/run-1/")) == 2


async def test_what_is_no_objects_is_no_objection(shelf):
    shelf.put("triage/", b"")
    shelf.put("triage2/x", b"")
    await session(made(shelf), part("p1", results(0, 1)))


async def test_append_puts_runs_side_by_side(shelf):
    shelf.put("triage/old.jsonl", b"precious")
    for run in ("run-1", "run-2"):
        await session(made(shelf, if_exists="append"), part(f"{run}/b/sink-1/0", results(0, 1)), run=run)
    assert shelf.names() == ["triage/old.jsonl", *(f"triage/run-{n}/sink-1/b.sink-1.0.jsonl" for n in (1, 2))]


async def test_two_sinks_of_a_run_may_share_a_folder(shelf):
    for name in ("good", "dead"):
        await session(made(shelf), part(f"run-1/b/{name}/0", results(0, 1)), name=name, whole=True)
    assert [key for key in shelf.names() if "_" not in key] == [
        "triage/run-1/dead/b.dead.0.jsonl", "triage/run-1/good/b.good.0.jsonl",
    ]  # fmt: skip


async def test_a_whole_run_has_a_manifest_and_says_so(shelf):
    sink = made(shelf, format="csv")
    assert isinstance(sink, Completing)
    await session(sink, part("run-1/a/s/0", results(0, 3)), part("run-1/b/s/0", results(3, 3)), whole=True)
    manifest = json.loads(shelf.get("triage/run-1/sink-1/_manifest.json"))
    assert shelf.get("triage/run-1/sink-1/_SUCCESS") == b""
    heads = [shelf.head(key) for key, _ in shelf.data()]
    assert manifest == {
        "run": "run-1", "job": "triage", "sink": "sink-1", "format": "csv", "count": 2,
        "bytes": sum(head["ContentLength"] for head in heads),
        "objects": [
            {"url": f"s3://{shelf.bucket}/{key}", "bytes": head["ContentLength"], "etag": head["ETag"].strip('"')}
            for (key, _), head in zip(shelf.data(), heads, strict=True)
        ],
    }  # fmt: skip


async def test_a_run_that_goes_on_takes_its_word_back_until_it_is_whole_again(shelf):
    success = "triage/run-1/sink-1/_SUCCESS"
    last = await session(made(shelf), part("p1", results(0, 1)), whole=True)
    await session(made(shelf), last=last, fresh=False)
    assert success in shelf.names()
    last = await session(made(shelf), part("p2", results(1, 1)), last=last, fresh=False)
    assert success not in shelf.names()
    await session(made(shelf), last=last, fresh=False, whole=True)
    assert success in shelf.names()
    assert json.loads(shelf.get("triage/run-1/sink-1/_manifest.json"))["count"] == 2


async def test_a_replay_takes_the_word_back_before_the_first_part_is_written_again(shelf):
    success = "triage/run-1/sink-1/_SUCCESS"
    seen = []

    async def looked_at(rows):
        seen.append(success in shelf.names())
        yield rows

    await session(made(shelf), part("p1", results(0, 1)), part("p2", results(1, 1)), whole=True)
    # A replay opens the sink as in a new run: nothing was ever confirmed.
    again = Part(name="p1", rows=looked_at(results(0, 1)))
    with pytest.raises(RuntimeError):
        await session(made(shelf), again, part_that_breaks("p2", results(1, 1), RuntimeError()))
    assert seen == [False]
    assert success not in shelf.names()
    await session(made(shelf), part("p1", results(0, 1)), part("p2", results(1, 1)), whole=True)
    assert success in shelf.names()


def large(count):
    """Rows of 64 KiB that cannot be compressed away, so that a few make parts."""
    return [result(f"k{n:06d}", os.urandom(32 * 1024).hex()) for n in range(count)]


async def test_a_part_larger_than_a_buffer_goes_up_in_pieces_and_comes_back_whole(shelf):
    rows = large(400)
    receipt = await session(made(shelf), part("p1", rows, chunk=50))
    assert receipt["bytes"] > 3 * S3.first
    assert shelf.head(receipt["key"])["ETag"].strip('"').endswith("-4")
    assert list(rows_of(shelf, "jsonl")) == [(row.key, row.text) for row in rows]
    assert shelf.uploads() == []


async def test_a_part_that_breaks_gives_back_what_was_sent(shelf):
    sink = made(shelf)
    await sink.open(context(), None)
    with pytest.raises(Damage):
        await sink.write(part_that_breaks("p1", large(150), Damage()))
    assert shelf.uploads() == []
    assert shelf.names() == []
    await sink.close()


async def test_a_broken_redelivery_leaves_the_object_that_was_there(shelf):
    receipt = await session(made(shelf), part("p1", results(0, 3)))
    before = shelf.get(receipt["key"])
    sink = made(shelf)
    await sink.open(context(), None)
    with pytest.raises(Damage):
        await sink.write(part_that_breaks("p1", large(150), Damage()))
    await sink.close()
    assert shelf.get(receipt["key"]) == before


async def test_uploads_of_a_dead_process_are_swept_and_other_peoples_are_not(shelf):
    shelf.begin_upload("triage/run-1/sink-1/b.sink-1.0.jsonl")
    others = ["triage/run-1/sink-2/x", "triage/run-10/sink-1/x", "triage/x"]
    for other in others:
        shelf.begin_upload(other)
    await session(made(shelf))
    assert sorted(shelf.uploads()) == others


async def test_a_part_that_lost_its_rows_takes_its_object_away(shelf):
    await session(made(shelf), part("p1", results(0, 3)))
    await session(made(shelf), part("p1", []))
    assert shelf.names() == []


async def test_objects_are_encrypted_as_told(shelf):
    kms = boto3.client("kms", endpoint_url=shelf.url, region_name="us-east-1")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    rows = large(150)
    small = await session(made(shelf, kms_key=key), part("p1", results(0, 3)), part("p2", rows))
    for one in (shelf.head(key) for key, _ in shelf.data()):
        assert (one["ServerSideEncryption"], one["SSEKMSKeyId"]) == ("aws:kms", key)
    assert small["bytes"] > S3.first


async def test_trouble_names_the_place_and_the_next_step_and_no_keys(shelf, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    sink = s3(url="s3://nobody-has-this/x/", endpoint_url=shelf.url, path_style=True)
    with pytest.raises(
        SinkError, match=r"cannot open s3://nobody-has-this/x/: .*NoSuchBucket.*Nothing was touched"
    ) as caught:
        await sink.open(context(), None)
    assert "make the bucket" in caught.value.hint
    assert "hush" not in f"{caught.value} {caught.value.hint}"


async def test_a_server_that_is_not_there_is_told_as_such(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        sink = s3(url="s3://lake/x/", endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}", path_style=True)
        with pytest.raises(SinkError, match=r"cannot open s3://lake/x/: .*No result is lost") as caught:
            await sink.open(context(), None)
    assert "endpoint_url" in caught.value.hint


async def test_missing_keys_are_told_with_what_to_do(shelf, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(SinkError, match="Unable to locate credentials") as caught:
        await made(shelf).open(context(), None)
    assert "AWS_PROFILE" in caught.value.hint


async def test_a_bucket_that_goes_away_keeps_the_part_for_later(shelf):
    sink = made(shelf)
    await sink.open(context(), None)
    shelf.client.delete_bucket(Bucket=shelf.bucket)
    with pytest.raises(SinkError, match=r"cannot write s3://.*/triage/: .*NoSuchBucket"):
        await sink.write(part("p1", results(0, 1)))
    with pytest.raises(SinkError, match="No result is lost"):
        await sink.write(part("p1", results(0, 1)))
    await sink.close()


async def test_a_bucket_that_goes_away_between_two_parts_is_told_with_the_part(shelf):
    sink = made(shelf)
    await sink.open(context(), None)
    receipt = await sink.write(part("p1", results(0, 1)))
    shelf.delete(receipt["key"])
    shelf.client.delete_bucket(Bucket=shelf.bucket)
    with pytest.raises(SinkError, match=r"cannot write s3://.*/part=p2.jsonl: .*NoSuchBucket"):
        await sink.write(part("p2", results(1, 1)))
    await sink.close()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"url": "lake/triage"}, "must be like"),
        ({"url": "s3:///triage"}, "must be like"),
        ({"url": "s3://lake//triage"}, "two slashes"),
        ({"endpoint_url": "server:9000"}, "http:// or https://"),
        ({"endpoint_url": "https://me:hush@server"}, "no user and password"),
        ({"sse": "AES256", "kms_key": "k"}, "kms_key goes with"),
        ({"fields": {"x": "outptu.a"}, "carry": []}, "there is no 'outptu'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_opened(options, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        s3(**{"url": "s3://lake/triage/", **options})
    assert "hush" not in str(caught.value)
