"""A sink: POST finished rows as JSON to a web address."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
from anyio import to_thread

from batchflow.plugin import Doc, Part, Promise, Receipt, Result, Seconds, SinkContext, SinkError


class Webhook:
    """Sends each chunk of a part as a JSON list of `{"key", "text"}`; the part is safe once every chunk got a 2xx."""

    promise: Promise = "at_least_once"  # the receiver may have taken a chunk whose reply we never saw

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout

    async def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Nothing to make ready: no connection outlives its chunk."""

    async def write(self, part: Part) -> Receipt:
        """Send a part, one request a chunk, off the loop."""
        rows = 0
        async for results in part.rows:
            await to_thread.run_sync(partial(self._post, results))
            rows += len(results)
        return {"part": part.name, "rows": rows}

    async def close(self) -> None:
        """Nothing to let go of."""

    def _post(self, results: Sequence[Result]) -> None:
        body = msgspec.json.encode([{"key": result.key, "text": result.text} for result in results])
        request = Request(self._url, body, {"Content-Type": "application/json"})  # noqa: S310 - the factory looked
        try:
            urlopen(request, timeout=self._timeout).close()  # noqa: S310 - the factory looked at the scheme
        except OSError as error:
            if isinstance(error, HTTPError):
                error.close()  # an answer that is no 2xx: it holds the connection
            raise SinkError(f"{self._url} did not take {len(results)} rows: {error}") from error


def webhook(
    *,
    url: Annotated[str, Doc("Where to POST; it must answer 2xx once the rows are safe, and may see a row twice.")],
    timeout: Annotated[Seconds, Doc("How long one request may take.")] = 30.0,
) -> Webhook:
    """POST finished rows to a web address, as JSON lists."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"`url` should begin with http:// or https://, and {url!r} does not")
    return Webhook(url, timeout)
