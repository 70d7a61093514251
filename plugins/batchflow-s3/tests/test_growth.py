"""Ten thousand parts hold any object: by arithmetic, and on a server with the limit scaled down."""

import os

import pytest
from batchflow_s3.bucket import Bucket
from batchflow_s3.client import Server
from batchflow_s3.growth import MIB, S3, Growth
from batchflow_s3.place import Access, Place
from batchflow_s3.upload import Upload

GB, TIB = 10**9, 1024**4


def needed(growth, size):
    """Counts the parts that an object takes, and tells the largest."""
    number = held = 0
    while held < size:
        number += 1
        held += growth.size(number)
    return number, growth.size(number)


@pytest.mark.parametrize(("size", "parts", "largest"), [(1 * GB, 120, 8), (200 * GB, 4553, 128), (5 * TIB, 9282, 4096)])
def test_any_object_that_the_server_takes_has_parts_enough(size, parts, largest):
    assert needed(S3, size) == (parts, largest * MIB)
    assert parts <= S3.parts


def test_parts_keep_to_the_limits_of_the_server_and_never_shrink():
    sizes = [S3.size(number) for number in range(1, S3.parts + 1)]
    assert min(sizes) >= 5 * MIB
    assert max(sizes) <= 5 * 1024 * MIB
    assert sizes == sorted(sizes)
    assert sum(sizes) == S3.room() > 5 * TIB


async def test_an_upload_keeps_to_a_limit_of_four_parts(shelf):
    scaled = Growth(first=5 * MIB, every=1, parts=4)
    data = os.urandom(37 * MIB)
    assert scaled.room() > len(data) > 4 * scaled.first, "parts of one size would be too many"
    bucket = Bucket(Place(shelf.bucket), Server(Access(endpoint_url=shelf.url, path_style=True)))
    async with Upload(bucket, "large", "text/plain", scaled) as upload:
        for at in range(0, len(data), 300_001):
            await upload.write(data[at : at + 300_001])
        await upload.finish()
    await bucket.close()
    assert shelf.get("large") == data
    assert shelf.head("large")["ETag"].strip('"').endswith("-4")
