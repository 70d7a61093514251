"""A provider: Anthropic's API, reached through a gateway that knows the team by a header."""

from typing import Annotated, Any

from batchflow import Plugins
from batchflow.plugin import Doc, Provider, Secret


def gateway(
    *,
    url: Annotated[str, Doc("The gateway's address.")],
    team: Annotated[str, Doc("Who pays.")],
    token: Annotated[Secret, Doc("What the gateway lets us in with.")],
) -> Provider:
    """Reach the API through the gateway."""
    anthropic: Any = Plugins(entry_points=False).provider("anthropic")
    return anthropic(base_url=url, api_key=token, headers={"x-team": team})
