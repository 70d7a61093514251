"""A folder keeps every promise of a blob store."""

import pytest

from batchflow.builtin.stores.folder import folder
from batchflow.testing import BlobStoreContract


class TestFolder(BlobStoreContract):
    @pytest.fixture
    def connect(self, tmp_path):
        return lambda: folder(path=tmp_path / "objects")

    @pytest.fixture
    def damage(self, tmp_path):
        def flip(name: str, at: int) -> None:
            with (tmp_path / "objects" / name).open("r+b") as file:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1]))

        return flip
