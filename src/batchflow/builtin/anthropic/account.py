"""Whose account is used, where, and how: settled when the factory is called, before anything is imported or opened."""

import os
from collections.abc import Mapping
from hashlib import blake2b
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from batchflow.model.units import SHORTEST_SECRET, Secret

ADDRESS = "https://api.anthropic.com"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a connection is made from. The environment has been read by now and is not asked again."""

    base_url: str
    secret: Secret | None
    """The API key or token; None where nobody gave one."""
    is_key: bool
    headers: dict[str, str]
    proxy: str | None
    patience: float

    def __repr__(self) -> str:
        """Leaves the headers out: the key is in them."""
        return f"Account({self.base_url!r}, key {self.fingerprint or 'missing'})"

    @property
    def fingerprint(self) -> str:
        """Tells two keys apart and gives neither away."""
        return blake2b(self.secret.reveal().encode(), digest_size=8).hexdigest() if self.secret else ""

    @property
    def on_this_machine(self) -> bool:
        """Whether the address is a loopback one, to which no proxy leads."""
        host = urlsplit(self.base_url).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def in_the_clear(self) -> bool:
        """Whether every connection goes to a plain address on this machine, past any proxy."""
        return self.on_this_machine and self.proxy is None and urlsplit(self.base_url).scheme == "http"

    def conceal(self, text: str) -> str:
        """Takes the key out of a text that came back from somewhere; a few letters would be found in every word, and are no key."""
        key = self.secret.reveal() if self.secret else ""
        return text.replace(key, "***") if len(key) >= SHORTEST_SECRET else text


def find_secret(api_key: Secret | None, auth_token: Secret | None) -> tuple[Secret | None, bool]:
    """The one credential and whether it is an API key. The environment speaks only where the configuration does not."""
    if api_key is not None and auth_token is not None:
        raise ValueError("api_key and auth_token were both given: a request can carry only one of them.")
    if api_key is not None or auth_token is not None:
        return _sendable(api_key or auth_token), api_key is not None
    if key := os.environ.get("ANTHROPIC_API_KEY"):
        return _sendable(Secret(key)), True
    token = os.environ.get("ANTHROPIC_AUTH_TOKEN")
    return (_sendable(Secret(token)) if token else None), False


def find_address(base_url: str | None) -> str:
    """The base URL, without a closing slash."""
    address = (base_url or os.environ.get("ANTHROPIC_BASE_URL") or ADDRESS).strip().rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"base_url {address!r} is not an address: write it like {ADDRESS} or http://127.0.0.1:8000.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("base_url may hold scheme, host, port and a path; credentials belong in api_key.")
    return address


def all_headers(
    *,
    version: str,
    beta: list[str],
    workspace_id: str | None,
    secret: Secret | None,
    both: bool,
    more: Mapping[str, str],
) -> dict[str, str]:
    """Every header that is ours to choose, so that nothing in the environment can choose it instead."""
    headers = {"Accept": "application/json", "Content-Type": "application/json", "anthropic-version": version}
    if beta:
        headers["anthropic-beta"] = ",".join(beta)
    if workspace_id:
        headers["anthropic-workspace-id"] = workspace_id
    if secret:
        headers["Authorization"] = f"Bearer {secret.reveal()}"
        if both:
            headers["X-Api-Key"] = secret.reveal()
    for name, value in more.items():
        if not (value.isascii() and value.isprintable()):  # said here, for later the HTTP library would quote the value
            raise ValueError(f"The value of header {name!r} holds characters that no header can carry.")
    given = {name.lower() for name in more}
    return {name: value for name, value in headers.items() if name.lower() not in given} | dict(more)


def _sendable(secret: Secret | None) -> Secret | None:
    """Takes the newline off a key that came from a file; refuses, without showing it, what no header can carry."""
    value = secret.reveal().strip() if secret else ""
    if not (value.isascii() and value.isprintable()):
        raise ValueError("The API key holds characters that no key has (a line break in the middle? two keys?).")
    return Secret(value) if value else None
