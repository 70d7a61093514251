"""The Anthropic provider keeps a provider's promises, against the simulator."""

import msgspec
import pytest

from batchflow.testing.provider import ProviderContract


class TestAnthropic(ProviderContract):
    @pytest.fixture
    async def provider(self, sim, connect):
        async with connect(sim.url) as provider:
            self.clock = sim.clock
            yield provider

    @pytest.fixture
    async def nowhere(self, connect, dead_port):
        async with connect(f"http://127.0.0.1:{dead_port}") as provider:
            yield provider

    def request(self, number):
        words = {"role": "user", "content": f"Summarise claim {number}."}
        return msgspec.json.encode({"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [words]})

    async def finish(self, provider, remote):
        self.clock.advance(7200)
        return await super().finish(provider, remote)

    async def test_it_knows_how_its_requests_are_changed(self, provider):
        larger = provider.amend(self.request(1), {"max_tokens": {"factor": 2.0, "ceiling": 80}}, b"")
        assert msgspec.json.decode(larger) == msgspec.json.decode(self.request(1)) | {"max_tokens": 80}
