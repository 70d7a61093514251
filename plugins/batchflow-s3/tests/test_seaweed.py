"""The same on another server, SeaweedFS, a real one, and in other formats. Slow, and left out where its binary is not there."""

import os

import pytest
from batchflow_s3 import sink
from buckets import InBucket, Objects, rows_of

from batchflow.testing import SinkContract, SourceContract
from batchflow.testing.sink import context, part, result

pytestmark = pytest.mark.slow


@pytest.fixture
def shelf(new_weed_shelf):
    return new_weed_shelf()


class TestSink(SinkContract):
    @pytest.fixture
    def make_sink(self, shelf):
        return lambda: sink.s3(
            url=f"s3://{shelf.bucket}/triage/", endpoint_url=shelf.url, path_style=True, format="csv.zst"
        )

    @pytest.fixture
    def read_back(self, shelf):
        async def read():
            return list(rows_of(shelf, "csv.zst"))

        return read

    async def test_a_large_part_comes_back_and_a_dead_upload_is_swept(self, shelf, make_sink, read_back):
        shelf.begin_upload("triage/run-1/sink-1/dead.csv.zst")
        rows = [result(f"k{n:06d}", os.urandom(32 * 1024).hex()) for n in range(600)]
        one = make_sink()
        await one.open(context(), None)
        assert shelf.uploads() == []
        receipt = await one.write(part("p1", rows, chunk=50))
        await one.complete()
        await one.close()
        assert receipt["bytes"] > 16 * 1024 * 1024
        assert await read_back() == [(row.key, row.text) for row in rows]
        assert any(name.endswith("/_SUCCESS") for name in shelf.names())


class TestSource(SourceContract):
    @pytest.fixture
    def place(self, shelf):
        return InBucket(shelf, "csv.gz")


class TestBlobs(Objects):
    """The objects are files elsewhere."""
