"""The loader against every promise of one."""

import pytest
from batchflow import Plugins
from batchflow.testing import LoaderContract

import your_plugin
from your_plugin.loader import loader


class Prompts:
    """A folder of prompts beside a job file."""

    def __init__(self, base):
        self.base = base
        (base / "prompts").mkdir()

    def put(self, text):
        (self.base / "prompts" / "triage.md").write_bytes(text.encode())
        return {"name": "triage"}

    def loader(self):
        return loader

    def nowhere(self):
        return [{"name": "nobody"}, {"name": "../triage"}]


class TestLoader(LoaderContract):
    @pytest.fixture
    def library(self, tmp_path):
        return Prompts(tmp_path)


def test_an_app_finds_it_by_its_name():
    assert Plugins([your_plugin], entry_points=False).loader("your_part") is loader
