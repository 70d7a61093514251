"""The blob store against every promise of one."""

import pytest
from batchflow import Plugins
from batchflow.testing import BlobStoreContract

import your_plugin
from your_plugin.blobs import blobs


class TestBlobs(BlobStoreContract):
    @pytest.fixture
    def connect(self, tmp_path):
        return lambda: blobs(path=tmp_path / "objects")

    @pytest.fixture
    def damage(self, tmp_path):
        def flip(name: str, at: int) -> None:
            path = tmp_path / "objects" / name
            data = bytearray(path.read_bytes())
            data[at] ^= 1
            path.write_bytes(data)

        return flip


def test_an_app_finds_it_by_its_name():
    assert Plugins([your_plugin], entry_points=False).blob_store("your_part") is blobs
