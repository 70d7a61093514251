"""The source against every promise of a source, on a real server; and what only buckets do."""

import gzip
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import anyio
import anyio.to_thread
import pytest
from batchflow_s3.bucket import Bucket
from batchflow_s3.client import Server
from batchflow_s3.objects import Objects, Pattern
from batchflow_s3.place import Access, place_at
from batchflow_s3.source import s3
from buckets import InBucket, SpoiltLines, jsonl, made
from gallows import Gallows
from servers import LISTED

from batchflow.plugin import Record, SourceError
from batchflow.testing import SourceContract
from batchflow.testing.source import first_page, given, items_of, pages_of, told


class TestJsonLines(SourceContract):
    """Compressed CSV is held to it on SeaweedFS."""

    @pytest.fixture
    def place(self, shelf):
        return SpoiltLines(shelf, "jsonl")


@pytest.mark.parametrize("format", ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "csv.zst"])
async def test_every_format_is_told_by_its_name_and_resumed_in_the_middle(shelf, format):
    place = InBucket(shelf, format)
    place.fill(given(3000, size=600))
    pages = await pages_of(place.source())
    assert told([item for page in pages for item in page.items]) == given(3000, size=600)
    middle = pages[len(pages) // 2]
    left = sum(len(page.items) for page in pages[len(pages) // 2 + 1 :])
    assert told(await items_of(place.source(), middle.cursor)) == given(3000, size=600)[-left:]


async def test_a_folder_is_read_without_markers_and_manifests(shelf):
    for key in ("in/b/2.jsonl", "in/1.jsonl", "in/_SUCCESS", "in/_tmp/3.jsonl", "in/.x", "in/", "in2/4.jsonl"):
        shelf.put(key, b"" if key == "in/" else jsonl([{"id": key, "text": ""}]))
    assert [item.key for item in await items_of(made(shelf, "in/"))] == ["in/1.jsonl", "in/b/2.jsonl"]
    assert [item.origin for item in await items_of(made(shelf, "in/"))] == ["1.jsonl:1", "b/2.jsonl:1"]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("a.jsonl", ["a.jsonl"]),
        ("*.jsonl", ["a.jsonl", "a.jsonl.jsonl"]),
        ("x/**/*.jsonl", ["x/1.jsonl", "x/y/2.jsonl", "x/y/z/3.jsonl"]),
        ("x/y?/*.jsonl", []),
        ("x/[yz]/*", ["x/y/2.jsonl"]),
        ("x/**", ["x/1.jsonl", "x/y/2.jsonl", "x/y/z/3.jsonl"]),
    ],
)
def test_a_pattern_means_what_it_means_for_files(path, keys):
    pattern = Pattern(place_at(f"s3://lake/{path}"))
    every = ["a.jsonl", "a.jsonl.jsonl", "x/1.jsonl", "x/y/2.jsonl", "x/y/z/3.jsonl", "x/.hidden"]
    meant = [key for key in every if pattern.name(key) is not None]
    assert meant == keys
    assert all(key.startswith(pattern.prefix) for key in meant)


async def test_more_objects_than_a_listing_has_are_found_and_found_again(shelf):
    for n in range(2 * LISTED + 3):
        shelf.put(f"in/{n:04}.jsonl", b"")
    assert shelf.client.list_objects_v2(Bucket=shelf.bucket)["KeyCount"] == LISTED
    bucket = Bucket(place_at(f"s3://{shelf.bucket}/in/"), Server(Access(endpoint_url=shelf.url, path_style=True)))
    objects = Objects(bucket)

    async def names(start=None):
        return [item.name for item in await anyio.to_thread.run_sync(lambda: list(objects.files(start)))]

    assert await names() == [f"{n:04}.jsonl" for n in range(2 * LISTED + 3)]
    assert await names("0001.jsonl") == [f"{n:04}.jsonl" for n in range(1, 2 * LISTED + 3)]
    last = [f"{2 * LISTED + n:04}.jsonl" for n in (1, 2)]
    assert await names(last[0]) == last
    assert await names(last[0].removesuffix("l")) == []
    await bucket.close()


async def test_csv_knows_its_columns_and_objects_must_agree(shelf):
    shelf.put("in/1.csv", b"id,text\n1,a\n")
    assert await made(shelf, "in/*.csv").columns() == {"id", "text"}
    shelf.put("in/2.csv", b"id,txt\n1,a\n")
    with pytest.raises(SourceError, match=f"s3://{shelf.bucket}/in/2.csv has other columns"):
        await items_of(made(shelf, "in/*.csv"))


async def test_what_a_sink_wrote_can_be_read(shelf):
    shelf.put("out/run/s3/_SUCCESS", b"")
    shelf.put("out/run/s3/b.s3.0.jsonl.gz", gzip.compress(b'{"key": "a", "text": "b"}\n'))
    [item] = await items_of(made(shelf, "out/", key="key"))
    assert isinstance(item, Record)
    assert item.data["text"] == "b"


@pytest.fixture
def broken(shelf):
    """A way to the same bucket on which what is read breaks off after a megabyte."""
    with Gallows(shelf.url) as gallows:
        gallows.cut = 1_000_000
        yield gallows


def by(broken, shelf, path):
    return s3(url=f"s3://{shelf.bucket}/{path}", key="id", endpoint_url=broken.url, path_style=True)


@pytest.mark.parametrize("format", ["jsonl", "jsonl.gz", "jsonl.zst"])
async def test_a_body_that_breaks_off_is_gone_on_with(shelf, broken, format):
    records = [{**one, "text": os.urandom(600).hex()} for one in given(4000)]
    InBucket(shelf, format).put([jsonl(records)])
    assert told(await items_of(by(broken, shelf, f"in/*.{format}"))) == records
    assert sum(call.startswith("GET") and "list-type" not in call for call in broken.calls) > 2


async def test_a_server_that_gives_nothing_is_asked_so_often_and_no_more(shelf, broken):
    broken.cut = 0
    shelf.put("in.jsonl", jsonl(given(20)))
    with pytest.raises(SourceError, match=r"cannot read s3://.*/in.jsonl: .*What was read before is safe"):
        await items_of(by(broken, shelf, "in.jsonl"))


async def test_an_object_that_is_changed_while_it_is_read_is_not_mixed(shelf, broken):
    shelf.put("in.jsonl", jsonl(given(20_000, size=300)))
    pages = by(broken, shelf, "in.jsonl").read(None)
    assert (await anext(pages)).items[0].key == "r000000"
    shelf.put("in.jsonl", jsonl(given(20_000, size=301)))
    with pytest.raises(SourceError, match=r"in.jsonl was changed or removed while it was being read"):
        [None async for _ in pages]


async def test_a_reader_that_is_canceled_while_the_server_is_silent_ends():
    heard, over = Event(), Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self):
            heard.set()
            over.wait()

        def log_message(self, format, *args):
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        source = s3(url="s3://lake/in/", endpoint_url=f"http://127.0.0.1:{server.server_port}", path_style=True)
        async with anyio.create_task_group() as group:
            group.start_soon(items_of, source)
            await anyio.to_thread.run_sync(heard.wait)
            group.cancel_scope.cancel()
        over.set()
        server.shutdown()


async def test_an_object_that_became_shorter_is_told(shelf):
    shelf.put("in.jsonl", jsonl(given(2000, size=600)))
    last = (await pages_of(made(shelf, "in.jsonl")))[-1]
    shelf.put("in.jsonl", jsonl(given(10)))
    with pytest.raises(SourceError, match=r"in.jsonl has become shorter"):
        await items_of(made(shelf, "in.jsonl"), last.cursor)


async def test_an_object_that_is_gone_in_mid_run_is_told(shelf):
    shelf.put("in/1.jsonl", jsonl(given(1)))
    shelf.put("in/2.jsonl", jsonl(given(1)))
    page = await first_page(made(shelf, "in/*.jsonl"))
    shelf.delete("in/1.jsonl")
    with pytest.raises(SourceError, match=r"1.jsonl is gone from s3://"):
        await items_of(made(shelf, "in/*.jsonl"), page.cursor)


async def test_trouble_names_the_place_and_the_next_step(shelf):
    source = s3(url="s3://nobody-has-this/x/", endpoint_url=shelf.url, path_style=True)
    with pytest.raises(SourceError, match=r"cannot read s3://nobody-has-this/x/: .*NoSuchBucket") as caught:
        await items_of(source)
    assert "make the bucket" in caught.value.hint


async def test_a_packed_object_that_is_cut_off_is_told(shelf):
    shelf.put("in.jsonl.gz", gzip.compress(jsonl(given(2000)))[:-20])
    with pytest.raises(SourceError, match=r"s3://.*/in.jsonl.gz is cut off or damaged"):
        await items_of(made(shelf, "in.jsonl.gz"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"delimiter": "::", "format": "csv"}, "one ASCII character"),
        ({"encoding": "klingon"}, "no encoding"),
        ({"url": "in"}, "must be like"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_opened(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        s3(**{"url": "s3://lake/x.jsonl", **options})
