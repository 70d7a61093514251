"""Anthropic's API behind a gateway of your own. In a job file: `provider: {type: gateway, team: search}`."""

from typing import Annotated

from batchflow import Plugins
from batchflow.plugin import Doc, Provider, Register, hookimpl


def gateway(*, team: Annotated[str, Doc("Who pays.")]) -> Provider:
    """Reach the API through the gateway, which has the key."""
    anthropic = Plugins(entry_points=False).provider("anthropic")
    return anthropic(base_url="https://llm.example.org", api_key=None, auth_token=None, headers={"x-team": team})


class House:
    @hookimpl
    def register_providers(self, register: Register) -> None:
        register("gateway", gateway)


provider = Plugins([House()]).provider("gateway")(team="search")  # it connects when it is first needed
assert provider.limits().requests == 100_000
