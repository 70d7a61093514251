"""A sink: our claims desk, an HTTP service that keeps one verdict per claim.

`PUT /verdicts` takes a list of rows, each under its claim. A row that comes again replaces itself, so a part may be sent
twice after a crash and every claim still has one verdict: that is what the promise `keyed` says.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from batchflow.plugin import (
    Doc,
    PlainPart,
    Promise,
    Receipt,
    Refusal,
    Register,
    Result,
    Seconds,
    Secret,
    SinkContext,
    SinkError,
    SinkRefused,
    Written,
    hookimpl,
)

LATER = {408, 425, 429}
"""Answers below 500 that another try can change."""
UNFIT = "does this plugin fit the desk's API?"


class Unwanted(msgspec.Struct):
    """A row that the desk will not have: its place in what was sent, and why."""

    at: int
    why: str


class Kept(msgspec.Struct):
    """What the desk answers."""

    refused: list[Unwanted]


class Desk:
    """Plain methods: they have a thread of their own, so they may block."""

    promise: Promise = "keyed"

    def __init__(self, url: str, token: Secret, timeout: float) -> None:
        self._url = f"{url.rstrip('/')}/verdicts"
        self._token = token
        self._timeout = timeout
        self._opener = build_opener(ProxyHandler({}))  # the desk is in our own network

    def open(self, context: SinkContext, last: Receipt | None) -> None:
        """Nothing to make ready: no connection outlives its chunk."""

    def write(self, part: PlainPart) -> Written:
        """Send a part, one request a chunk. What the desk will not have becomes a dead letter with the desk's words."""
        refused = [one for results in part.rows if results for one in self._put(results)]
        return Written(receipt={"part": part.name}, refused=refused)

    def close(self) -> None:
        """Nothing to let go of."""

    def _put(self, results: Sequence[Result]) -> Iterator[Refusal]:
        answer = self._sent(msgspec.json.encode([row(result) for result in results]))
        try:
            kept = msgspec.json.decode(answer, type=Kept)
        except msgspec.DecodeError as error:
            raise SinkError(f"{self._url} answered 200 and no list of refusals: {error}", hint=UNFIT) from error
        for one in kept.refused:
            yield Refusal(row=results[one.at].row, key=results[one.at].key, why=one.why)

    def _sent(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token.reveal()}"}
        request = Request(self._url, body, headers, method="PUT")  # noqa: S310 - the factory looked at the scheme
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return answer.read()
        except HTTPError as error:
            with error:
                raise self._trouble(error.code) from error
        except OSError as error:
            raise SinkError(f"{self._url} cannot be reached: {error}", hint="is the desk up? the rows wait") from error

    def _trouble(self, status: int) -> SinkError:
        """Say whether another try can help: the desk's weather passes, a wrong token waits for a person."""
        said = f"{self._url} answered {status}"
        if status >= 500 or status in LATER:
            return SinkError(said, hint="the rows wait, and are sent again")
        hint = "mend the token in the secret store" if status in {401, 403} else UNFIT
        return SinkRefused(said, hint=f"{hint}; what was paid for is kept: then `batchflow resume`")


def row(result: Result) -> dict[str, Any]:
    """Make what the desk takes. Failed rows have their word, and no verdict."""
    return {"claim": result.key, "tenant": result.carried.get("tenant"), "outcome": result.word, "verdict": result.text}


def desk(
    *,
    url: Annotated[str, Doc("Where the claims desk is: https://desk.internal.")],
    token: Annotated[Secret, Doc("A token that may write verdicts.")],
    timeout: Annotated[Seconds, Doc("How long one request may take.")] = 30.0,
) -> Desk:
    """Verdicts to the claims desk."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("url: should begin with https:// or http://")
    return Desk(url, token, timeout)


@hookimpl
def register_sinks(register: Register) -> None:
    """Hand over the desk."""
    register("desk", desk)
