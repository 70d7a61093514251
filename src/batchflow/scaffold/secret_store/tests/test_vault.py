"""The secret store against every promise of one."""

import json

import pytest
from batchflow import Plugins
from batchflow.testing import SecretStoreContract

import your_plugin
from your_plugin.vault import Vault
from your_plugin.vault import vault as make


class File:
    """The file of a team's secrets."""

    def __init__(self, path):
        self._path = path
        self._kept = {}
        self._write()

    def put(self, name, secret):
        self._kept[name] = secret
        self._write()

    def spoil(self, name):
        self._kept[name] = ["no", "text"]
        self._write()

    def remove(self):
        self._path.unlink()

    def store(self):
        return make(path=self._path)

    def _write(self):
        self._path.write_text(json.dumps(self._kept), encoding="utf-8")


class TestVault(SecretStoreContract):
    @pytest.fixture
    def vault(self, tmp_path):
        return File(tmp_path / "secrets.json")


def test_an_app_finds_it_by_its_name(tmp_path):
    plugins = Plugins([your_plugin], entry_points=False)
    assert isinstance(plugins.secret_store("your_part")(path=tmp_path / "secrets.json"), Vault)
