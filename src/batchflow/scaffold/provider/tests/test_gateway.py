"""The provider against every promise of one, on a simulated API."""

import json
import socket

import pytest
from batchflow import Plugins
from batchflow.plugin import Secret
from batchflow.sim import Simulator
from batchflow.testing import ProviderContract

import your_plugin
from your_plugin.gateway import gateway


def made(url):
    return gateway(url=url, team="search", token=Secret("simulated"))


class TestGateway(ProviderContract):
    @pytest.fixture
    async def provider(self):
        with Simulator(speed=36_000) as sim:
            provider = made(sim.url)
            yield provider
            await provider.close()

    @pytest.fixture
    async def nowhere(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            provider = made(f"http://127.0.0.1:{taken.getsockname()[1]}")
            yield provider
            await provider.close()

    def request(self, number):
        words = {"role": "user", "content": f"Summarise claim {number}."}
        return json.dumps({"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [words]}).encode()


def test_an_app_finds_it_by_its_name():
    provider = Plugins([your_plugin], entry_points=False).provider("your_part")
    made = provider(url="http://127.0.0.1:9", team="search", token=Secret("simulated"))
    assert made.binding().base_url == "http://127.0.0.1:9"
