"""`webhook`: POSTs a small JSON body, signed as Standard Webhooks say, so that any of their libraries can verify it."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec

from batchflow.model.errors import NotifyError, NotifyRefused
from batchflow.model.notification import Kind, Notification
from batchflow.model.units import Doc, Seconds, Secret

if TYPE_CHECKING:
    import httpx2

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret, as the standard has it."""
MAKE = """python3 -c 'import base64, os; print("whsec_" + base64.b64encode(os.urandom(32)).decode())'"""
TYPES: Mapping[Kind, str] = {
    "finished": "run.finished",
    "paused": "run.paused",
    "failed": "run.failed",
    "dead": "run.dead_letters",
}
LATER = frozenset({408, 425, 429})
"""Answers below 500 after which another try can help."""
RESERVED = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-length", "host"})


def webhook(
    *,
    url: Annotated[str, Doc("Where to POST. Any 2xx means that it was taken; a redirect is not followed.")],
    secret: Annotated[
        Secret | list[Secret],
        Doc(
            "What to sign with: `whsec_` and base64 of 24 to 64 bytes. Of several, each signs: to change one for another."
        ),
    ],
    headers: Annotated[
        dict[str, Secret] | None, Doc("More headers to send, for a gateway in front of it, say.")
    ] = None,
    timeout: Annotated[Seconds, Doc("How long one try may take.")] = 10.0,
) -> "Webhook":
    """POSTs signed JSON to a web address (Standard Webhooks)."""
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError("url: should begin with https:// or http:// and name a host")
    secrets = secret if isinstance(secret, list) else [secret]
    if not secrets:
        raise ValueError("secret: at least one is needed")
    if taken := RESERVED & {name.lower() for name in headers or {}}:
        raise ValueError(f"headers: {', '.join(sorted(taken))} is set by the webhook itself")
    return Webhook(url, [_key(one) for one in secrets], headers or {}, timeout)


class Webhook:
    """Sends each notification in one POST, under its own id: a receiver that saw the id before has it already."""

    def __init__(self, url: str, keys: Sequence[bytes], headers: Mapping[str, Secret], timeout: float) -> None:
        self._url = url
        self._keys = keys
        self._headers = headers
        self._timeout = timeout
        self._client: httpx2.AsyncClient | None = None

    async def notify(self, notification: Notification) -> None:
        """Try once."""
        import httpx2

        body = body_of(notification)
        try:
            answer = await self._connected().post(self._url, content=body, headers=self._signed(notification.id, body))
        except httpx2.TimeoutException as error:
            raise NotifyError(f"{self._host} did not answer within {self._timeout:g} s") from error
        except httpx2.HTTPError as error:
            raise NotifyError(f"{self._host} could not be reached: {error or type(error).__name__}") from error
        except httpx2.InvalidURL as error:
            raise NotifyRefused(f"{self._host}: {error}") from error
        self._judge(answer)

    async def close(self) -> None:
        """Give the connection back."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _judge(self, answer: "httpx2.Response") -> None:
        status = answer.status_code
        if answer.is_success:
            return
        said = f"{self._host} answered {status}"
        if status >= 500 or status in LATER:
            raise NotifyError(said, after=_seconds(answer.headers.get("retry-after", "")))
        raise NotifyRefused(f"{said}, and no redirect is followed" if answer.is_redirect else said)

    def _signed(self, id_: str, body: bytes) -> dict[str, str]:
        """Sign anew for each try: the time is part of what is signed, and receivers refuse old times."""
        at = str(int(time.time()))
        signatures = " ".join(signature(key, id_, at, body) for key in self._keys)
        own = {name: value.reveal() for name, value in self._headers.items()}
        return own | {
            "content-type": "application/json",
            "user-agent": "batchflow",
            "webhook-id": id_,
            "webhook-timestamp": at,
            "webhook-signature": signatures,
        }

    def _connected(self) -> "httpx2.AsyncClient":
        if self._client is None:
            import httpx2

            trusting = not _on_this_machine(self._host)  # a proxy would look for the receiver on its own machine
            self._client = httpx2.AsyncClient(timeout=self._timeout, follow_redirects=False, trust_env=trusting)
        return self._client

    @property
    def _host(self) -> str:
        return urlsplit(self._url).hostname or self._url


def signature(key: bytes, id_: str, timestamp: str, body: bytes) -> str:
    """Sign as version 1 has it."""
    signed = hmac.new(key, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def body_of(notification: Notification) -> bytes:
    """Write what is sent: its fields are never renamed or taken away, and new ones may come."""
    data: dict[str, Any] = {
        "job": notification.job,
        "run": notification.run,
        "status": notification.status,
        "reason": notification.reason,
        "counts": dict(notification.counts),
        "money": dict(notification.money),
        "next": notification.next,
    }
    at = datetime.fromtimestamp(notification.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": TYPES[notification.kind], "timestamp": at, "data": data})


def _key(secret: Secret) -> bytes:
    written = secret.reveal()
    try:
        key = base64.b64decode(written.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not written.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(
            f"secret: should be `whsec_` and the base64 of {SHORTEST} to {LONGEST} random bytes; this makes one: {MAKE}"
        )
    return key


def _seconds(written: str) -> float:
    return float(written) if written.isascii() and written.isdigit() else 0.0


def _on_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
