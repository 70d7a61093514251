"""The SDK's clients, made when they are first needed: importing the SDK takes two seconds.

There are two, because reading and creating want opposite things. Reading wants speed and warm connections: aiohttp.
Creating wants to know what has left: httpx2 keeps nothing back in user space (a piece is asked for only when the one
before is in the kernel), enforces the announced length, reads a reply that came before the body was through, and is
told here to keep no connection, so that a stale one can never pass for a lost reply.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batchflow.builtin.anthropic.account import Account

if TYPE_CHECKING:
    import ssl

    import httpx2
    from anthropic import AsyncAnthropic

CONNECT = 10.0


class Connection:
    """Two clients of one account, sharing certificates and headers."""

    def __init__(self, account: Account) -> None:
        import httpx2

        # Where nothing is encrypted, there is nothing to prove: to load who is trusted takes longer than most replies.
        certificates = httpx2.create_ssl_context(verify=_trusting_nobody() if account.in_the_clear else True)
        options: dict[str, Any] = {
            "verify": certificates,
            "timeout": timeouts(account.patience),
            "proxy": account.proxy,
            "trust_env": account.proxy is None and not account.on_this_machine,
            "follow_redirects": False,
        }
        self.reads = _client(account, _quick(options))
        self.creates = _client(
            account, httpx2.AsyncClient(**options, limits=httpx2.Limits(max_keepalive_connections=0))
        )

    async def close(self) -> None:
        """Gives the connections back."""
        await self.reads.close()
        await self.creates.close()


def _trusting_nobody() -> "ssl.SSLContext":
    import ssl

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def timeouts(patience: float) -> "httpx2.Timeout":
    """How long one step on a socket may take; connecting is quick or does not happen."""
    import httpx2

    return httpx2.Timeout(patience, connect=min(patience, CONNECT))


def _quick(options: Mapping[str, Any]) -> "httpx2.AsyncClient":
    import httpx2
    from anthropic import DefaultAioHttpClient

    try:
        return DefaultAioHttpClient(**options)
    except RuntimeError:  # aiohttp is not installed here
        return httpx2.AsyncClient(**options)


def _client(account: Account, http: "httpx2.AsyncClient") -> "AsyncAnthropic":
    from anthropic import AsyncAnthropic

    secret = account.secret.reveal() if account.secret else None
    return AsyncAnthropic(
        api_key=secret if account.is_key else None,
        auth_token=None if account.is_key else secret,
        base_url=account.base_url,
        default_headers=_proof(account.headers),
        max_retries=0,
        timeout=timeouts(account.patience),
        open_telemetry=False,
        http_client=http,
    )


def _proof(headers: Mapping[str, str]) -> dict[str, Any]:
    """Our headers, and none of those the SDK would take from ANTHROPIC_CUSTOM_HEADERS (which lines it splits likewise)."""
    from anthropic import Omit

    ours = {name.lower() for name in headers}
    lines = os.environ.get("ANTHROPIC_CUSTOM_HEADERS", "").split("\n")
    names = {line.partition(":")[0].strip() for line in lines if ":" in line}
    return {name: Omit() for name in names if name.lower() not in ours} | dict(headers)
