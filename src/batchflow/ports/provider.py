"""Who answers the requests, for money."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import msgspec

from batchflow.model.remote import Limits, ListPage, RemoteBatch, Weight
from batchflow.model.result import Answer
from batchflow.model.state import Binding


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One create call, to be made at most once.

    `chunks` yields the rows' parameters as encoded JSON objects, each with a newline behind it or without, in row order;
    row n travels as custom_id `<token>-<n>`. `params_bytes` is the sum of their lengths, so that the body's length is known before its first byte.
    `check` must be called before each piece is handed to the socket and before the closing one; when it raises, the
    connection is broken instead: a process woken from a long stop must not finish a POST.
    """

    token: str
    count: int
    params_bytes: int
    chunks: AsyncIterator[Sequence[bytes]]
    check: Callable[[], None]
    timeout: float


class Provider(Protocol):
    """Runs batches of requests. Only `submit` costs money, and only `submit` must never be repeated by itself.

    Errors are `Refused` (definite no), `Unreachable` (no byte left), `ReplyLost` (submit and send only: in doubt) and `BadReply`.
    """

    def limits(self) -> Limits:
        """Says what one batch may hold."""
        ...

    def weigh(self, params: Sequence[bytes]) -> Sequence[Weight]:
        """Estimate the tokens of some requests, summed up by model: for reservations and plans, quick, never too low by much."""
        ...

    def body_bytes(self, *, count: int, params_bytes: int, token_length: int) -> int:
        """The exact length of the body that `submit` would send at most (rows numbered to count - 1)."""
        ...

    def binding(self) -> Binding:
        """Says whose account is used, as far as known: never the key itself, only a fingerprint of it."""
        ...

    async def submit(self, outgoing: Outgoing) -> RemoteBatch:
        """Makes one create call: no retries, no redirects, never on a reused idle connection."""
        ...

    def list(self) -> AsyncGenerator[ListPage]:
        """Lists all batches of the workspace, newest first, until the caller closes it; `NoListing` where there is none."""
        ...

    async def can_list(self) -> bool:
        """Says whether an empty listing means that there are no batches, as far as that can be found out without making one.

        It is asked when nothing was ever seen in it, and a batch is about to be called absent. A stub that answers
        whatever it is asked with an empty page is no listing; where nobody can tell, the answer is no.
        """
        ...

    async def status(self, remote: str) -> RemoteBatch | None:
        """Asks for one batch; None when the provider does not know it (which may be true only for a moment)."""
        ...

    def results(self, remote: str) -> AsyncGenerator[bytes]:
        """Streams the results file as received: undecoded, in pieces of any size, from the beginning."""
        ...

    def read(self, lines: Sequence[bytes]) -> Sequence[Answer]:
        """Reads whole lines of a results file: one Answer a line, `word=None` for a line that cannot be read."""
        ...

    def skim(self, lines: Sequence[bytes]) -> Sequence[Answer]:
        """Reads the same, quicker, for fates and money: of a good answer the text and the message may be left out."""
        ...

    async def cancel(self, remote: str) -> RemoteBatch | None:
        """Asks for cancellation; rows already under way may still finish. None when it is unknown."""
        ...

    async def send(self, params: bytes) -> Answer:
        """Makes one request now, at full price (dry runs, warm-ups).

        What is wrong with the params is the answer's word; what is wrong with account or service is raised. A lost reply
        is `ReplyLost`: the request may have been billed.
        """
        ...

    def amend(self, params: bytes, change: dict[str, Any], answer: bytes) -> bytes:
        """Makes the parameters of the next attempt from the last ones, a change, and the last result line.

        It raises `BuildError` for a row that cannot be changed so (a cap at its ceiling, no answer to go on from): a
        dead letter with that reason, while its neighbours go on.
        """
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...
