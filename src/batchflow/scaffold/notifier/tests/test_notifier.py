"""The notifier against every promise of one."""

import pytest
from batchflow import Plugins
from batchflow.testing import NotifierContract

import your_plugin
from your_plugin.notifier import Notebook
from your_plugin.notifier import notifier as make


class Reader:
    """Reads the file, line by line. One that is away is a folder that is not there."""

    def __init__(self, folder):
        self._path = folder / "there" / "runs.jsonl"
        self.be("well")

    def be(self, mood):
        if mood == "well":
            self._path.parent.mkdir(exist_ok=True)
        elif self._path.parent.exists():
            self._path.parent.rmdir()
        if mood == "unwilling":
            pytest.skip("a file is never unwilling")

    def notifier(self):
        return make(path=self._path)

    def heard(self):
        if not self._path.exists():
            return []
        return self._path.read_text(encoding="utf-8").split("\n")[:-1]


class TestNotifier(NotifierContract):
    @pytest.fixture
    def receiver(self, tmp_path):
        return Reader(tmp_path)


def test_an_app_finds_it_by_its_name(tmp_path):
    plugins = Plugins([your_plugin], entry_points=False)
    assert isinstance(plugins.notifier("your_part")(path=tmp_path / "runs.jsonl"), Notebook)
