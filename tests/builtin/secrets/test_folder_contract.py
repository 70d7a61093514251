"""The folder of secrets against every promise of a secret store."""

import pytest

from batchflow.builtin.secrets.folder import folder
from batchflow.testing import SecretStoreContract


class Files:
    """A folder as an orchestrator fills it."""

    def __init__(self, path):
        self.path = path

    def put(self, name, secret):
        self.path.mkdir(exist_ok=True)
        (self.path / name).write_text(f"{secret}\n")

    def spoil(self, name):
        self.path.mkdir(exist_ok=True)
        (self.path / name).write_bytes(b"\xff\xfe hunter2")

    def remove(self):
        self.path.rename(self.path.with_name("gone"))

    def store(self):
        return folder(path=self.path)


class TestFolder(SecretStoreContract):
    @pytest.fixture
    def vault(self, tmp_path):
        return Files(tmp_path / "secrets")
