"""Anthropic's Message Batches API, spoken in raw bytes through the official SDK's clients.

Every call is made once: no hidden retries, no hidden waiting, no redirects (a key must not follow to another host).
What went wrong is said in `Refused`, `Unreachable`, `ReplyLost` or `BadReply`; when to come again is the engine's
decision.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import anyio
from anyio import to_thread

from batchflow.builtin.anthropic import calls, verdicts
from batchflow.builtin.anthropic.account import ADDRESS, Account, all_headers, find_address, find_secret
from batchflow.builtin.anthropic.body import Body, Parcel, body_bytes
from batchflow.builtin.anthropic.connection import Connection
from batchflow.builtin.anthropic.problems import read_problem
from batchflow.builtin.anthropic.replies import read_batch, read_page, results_path
from batchflow.builtin.anthropic.rows import read_message, read_rows, skim_rows
from batchflow.builtin.anthropic.verdicts import Reply
from batchflow.builtin.anthropic.weigh import weigh
from batchflow.model.errors import BadReply, BatchflowError, Bug, NoListing, ProviderError, Refused, Unreachable
from batchflow.model.remote import Limits, ListPage, RemoteBatch, Weight
from batchflow.model.result import Answer
from batchflow.model.state import Binding
from batchflow.model.units import Doc, Mendable, Seconds, Secret
from batchflow.model.words import Word
from batchflow.ports.provider import Outgoing, Provider

T = TypeVar("T")
E = TypeVar("E", bound=ProviderError)

BATCHES = "/v1/messages/batches"
PAGE = 1000
MOST_REQUESTS = 100_000
MOST_BYTES = 255_000_000
"""The API takes 256 MB, and does not say whether decimal or binary: the smaller one, less a margin for a proxy's taste."""
LONGEST_NAME = 64
_ABOUT_PARAMS = frozenset({Word.INVALID, Word.TOO_LARGE, Word.UNKNOWN_MODEL, Word.CONTEXT_EXCEEDED})
_NONSENSE = frozenset({400, 422})
_SEND_PATIENCE = 600.0


def anthropic(
    *,
    api_key: Annotated[Secret | None, Doc("API key; the default is the environment's ANTHROPIC_API_KEY.")] = None,
    auth_token: Annotated[Secret | None, Doc("Bearer token, in place of an API key.")] = None,
    base_url: Annotated[
        str | None,
        Mendable(),
        Doc(f"Address of the API; the default is the environment's ANTHROPIC_BASE_URL, then {ADDRESS}."),
    ] = None,
    workspace_id: Annotated[str | None, Mendable(), Doc("Workspace, for a credential that spans several.")] = None,
    beta: Annotated[list[str], Doc("Beta features, sent as anthropic-beta with every call.")] = [],  # noqa: B006 configuration is never mutated
    version: Annotated[str, Doc("API version; 2023-06-01 still takes temperature, top_p and top_k.")] = "2026-10-21",
    headers: Annotated[
        dict[str, Secret | str], Mendable(), Doc("More headers, for gateways; they overrule our own.")
    ] = {},  # noqa: B006 configuration is never mutated
    x_api_key: Annotated[
        bool, Mendable(), Doc("Send an API key as x-api-key too, for servers older than bearer keys.")
    ] = True,
    proxy: Annotated[
        str | None, Mendable(), Doc("Proxy's URL; the default is the environment's, and none for loopback addresses.")
    ] = None,
    timeout: Annotated[Seconds, Mendable(), Doc("How long a socket may be silent before a call is given up.")] = 60.0,
) -> Provider:
    """Anthropic's Message Batches API."""
    secret, is_key = find_secret(api_key, auth_token)
    account = Account(
        base_url=find_address(base_url),
        secret=secret,
        is_key=is_key,
        headers=all_headers(
            version=version,
            beta=beta,
            workspace_id=workspace_id,
            secret=secret,
            both=is_key and x_api_key,
            more={name: one.reveal() if isinstance(one, Secret) else one for name, one in headers.items()},
        ),
        proxy=proxy,
        patience=timeout,
    )
    return AnthropicProvider(account, workspace=workspace_id or "")


class AnthropicProvider:
    """One account's batches."""

    def __init__(self, account: Account, *, workspace: str = "") -> None:
        self._account = account
        self._connection: Connection | None = None
        self._connecting = anyio.Lock()
        self._organization = ""
        self._workspace = workspace
        self._most_requests = MOST_REQUESTS
        """Fewer where a server has said so: later batches are cut to it, instead of being refused and split."""

    def limits(self) -> Limits:
        """One row may fill a batch: whether a smaller limit holds for it is not known, and the row's error would say so."""
        frame = body_bytes(count=1, params_bytes=0, token_length=LONGEST_NAME)
        return Limits(requests=self._most_requests, bytes=MOST_BYTES, record_bytes=MOST_BYTES - frame)

    def weigh(self, params: Sequence[bytes]) -> Sequence[Weight]:
        return weigh(params)

    def body_bytes(self, *, count: int, params_bytes: int, token_length: int) -> int:
        return body_bytes(count=count, params_bytes=params_bytes, token_length=token_length)

    def binding(self) -> Binding:
        """Organisation and workspace are learnt from replies, so they are empty before the first."""
        return Binding(
            base_url=self._account.base_url,
            key=self._account.fingerprint,
            organization=self._organization,
            workspace=self._workspace,
        )

    async def submit(self, outgoing: Outgoing) -> RemoteBatch:
        what = f"Creating a batch of {outgoing.count:,} requests"
        client = (await self._connected()).creates
        body = Body(outgoing)
        try:
            with anyio.fail_after(outgoing.timeout):
                reply = await calls.post(client, BATCHES, body, outgoing.timeout)
        except (calls.NoReply, TimeoutError) as error:
            raise self._undelivered(what, body, error) from error
        self._learn(reply)
        return self._created(what, reply)

    async def list(self) -> AsyncGenerator[ListPage]:
        what, after, seen = "Listing the batches", None, set[str]()
        while True:
            reply = await self._get(what, BATCHES, {"limit": PAGE} | ({"after_id": after} if after else {}))
            if verdicts.no_listing(reply):
                raise NoListing(f"{self._account.base_url} has no listing of its batches", word=Word.MISSING)
            leaf = self._read(what, reply, partial(read_page, asked=PAGE))
            yield leaf.page
            after = leaf.next
            if after is None:
                return
            if after in seen:  # ending here quietly would make a lost batch look absent
                raise BadReply(f"{what} goes in circles: batch {after} ends two pages.")
            seen.add(after)

    async def can_list(self) -> bool:
        """Asks for a page of no batches, which the API refuses as nonsense. What answers that, answers anything."""
        what = "Asking whether batches are listed"
        reply = await self._get(what, BATCHES, {"limit": 0})
        if reply.good or verdicts.no_listing(reply):
            return False
        if reply.status in _NONSENSE:
            return True
        raise self._safe(verdicts.refused(what, reply))

    async def status(self, remote: str) -> RemoteBatch | None:
        what = f"Looking at batch {remote}"
        reply = await self._get(what, _path(remote))
        return None if reply.status == 404 else self._read(what, reply, read_batch)

    async def results(self, remote: str) -> AsyncGenerator[bytes]:
        """Asks at the documented path; where nothing is there, at the batch's `results_url`, if that is on this very server.

        The key must not go to whatever host a reply names.
        """
        what = f"Downloading the results of batch {remote}"
        client = (await self._connected()).reads
        tried = [_path(remote, "results")]
        try:
            while True:
                async with calls.download(client, tried[-1]) as (reply, pieces):
                    self._learn(reply)
                    if reply.good:
                        async for piece in pieces:
                            yield piece
                        return
                tried.append(await self._elsewhere(what, remote, reply, tried))
        except calls.NoReply as error:
            raise self._unreachable(what, error) from error
        except calls.CutShort as error:
            raise BadReply(f"{what} broke off ({error}): it has to be downloaded again, from its beginning.") from error

    def read(self, lines: Sequence[bytes]) -> Sequence[Answer]:
        return read_rows(lines)

    def skim(self, lines: Sequence[bytes]) -> Sequence[Answer]:
        return skim_rows(lines)

    async def cancel(self, remote: str) -> RemoteBatch | None:
        what = f"Canceling batch {remote}"
        reply = await self._post(what, _path(remote, "cancel"))
        if reply.status == 404:
            return None
        if reply.status in {400, 409} and (known := await self.status(remote)) is not None and known.ended:
            return known  # it was over before it could be canceled
        return self._read(what, reply, read_batch)

    async def send(self, params: bytes) -> Answer:
        """What is wrong with the params is the answer's word; what is wrong with the account or the service is raised.

        A reply that is lost is `ReplyLost` here too: the request may have been billed.
        """
        what = "Sending one request"
        client, body = (await self._connected()).creates, Parcel(params)
        try:
            reply = await calls.post(client, "/v1/messages", body, _SEND_PATIENCE)
        except calls.NoReply as error:
            raise self._undelivered(what, body, error) from error
        self._learn(reply)
        if reply.good:
            return read_message(reply.body)
        problem = read_problem(reply.body)
        word = problem.word(reply.status)
        if not (reply.definite_no and word in _ABOUT_PARAMS):
            raise self._safe(verdicts.refused(what, reply))
        return Answer("", word, error=self._account.conceal(str(problem)))

    def amend(self, params: bytes, change: dict[str, Any], answer: bytes) -> bytes:
        """Makes the next attempt's parameters; imported here because a run without retries never needs it."""
        from batchflow.builtin.anthropic.amend import amend

        return amend(params, change, answer)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> Connection:
        if self._account.secret is None:
            raise Refused(
                "There is no API key, so nothing was sent.",
                word=Word.UNAUTHORIZED,
                hint="Set ANTHROPIC_API_KEY, or `provider: {api_key: ...}` in the job file.",
            )
        async with self._connecting:
            if self._connection is None:  # in a thread: the first import takes two seconds, and leases must be renewed
                self._connection = await to_thread.run_sync(Connection, self._account)
            return self._connection

    async def _get(self, what: str, path: str, query: Mapping[str, object] | None = None) -> Reply:
        client = (await self._connected()).reads
        try:
            reply = await calls.get(client, path, query)
        except calls.NoReply as error:
            raise self._unreachable(what, error) from error
        self._learn(reply)
        return reply

    async def _post(self, what: str, path: str) -> Reply:
        client = (await self._connected()).creates
        try:
            reply = await calls.post(client, path, Parcel(b""), self._account.patience)
        except calls.NoReply as error:
            raise self._unreachable(what, error) from error
        self._learn(reply)
        return reply

    def _learn(self, reply: Reply) -> None:
        self._organization = reply.headers.get("anthropic-organization-id") or self._organization
        self._workspace = reply.headers.get("anthropic-workspace-id") or self._workspace

    def _created(self, what: str, reply: Reply) -> RemoteBatch:
        if reply.definite_no:
            refused = self._safe(verdicts.refused(what, reply))
            if isinstance(refused, Refused) and refused.max_requests:
                self._most_requests = min(self._most_requests, refused.max_requests)
            raise refused
        if not reply.good:
            raise self._safe(verdicts.lost(what, "the reply leaves it open", reply))
        try:
            return read_batch(reply.body, reply.headers)
        except ValueError as error:
            raise verdicts.lost(what, f"the reply cannot be read ({error})", reply) from error

    def _undelivered(self, what: str, body: Body | Parcel, error: Exception) -> BatchflowError:
        """Sorts a call without a reply: definite while nothing was handed to the socket, in doubt from then on."""
        if isinstance(body, Body) and isinstance(body.fault, Bug):
            return body.fault  # the framing was wrong, so the body was never finished
        if body.handed:
            return verdicts.lost(what, str(error) or f"no reply in time ({type(error).__name__})")
        if isinstance(body, Body) and isinstance(body.fault, BatchflowError):
            return body.fault
        return Unreachable(f"{what} failed before anything was sent ({error}). Nothing was created.")

    def _unreachable(self, what: str, error: Exception) -> Unreachable:
        return Unreachable(
            f"{what} got no answer from {self._account.base_url} ({error}).",
            hint="Check the network, the proxy settings and the provider's base_url.",
        )

    def _read(self, what: str, reply: Reply, read: Callable[[bytes, Mapping[str, str]], T]) -> T:
        if not reply.good:
            raise self._safe(verdicts.refused(what, reply))
        try:
            return read(reply.body, reply.headers)
        except ValueError as error:
            raise BadReply(f"{what} brought a reply that cannot be read: {error}.", status=reply.status) from error

    async def _elsewhere(self, what: str, remote: str, reply: Reply, tried: Sequence[str]) -> str:
        """Finds another path to results that are not where they were looked for, or raises why there are none.

        A batch that is too old is still shown, only its results are gone.
        """
        problem = self._safe(verdicts.refused(what, reply))
        if problem.word is not Word.MISSING:
            raise problem
        shown = await self._get(what, _path(remote))
        if not shown.good:
            raise problem
        if self._read(what, shown, read_batch).archived:
            problem.word = Word.ARCHIVED
            raise problem
        path = results_path(shown.body, self._account.base_url)
        if path is None or path in tried:
            raise problem
        return path

    def _safe(self, error: E) -> E:
        """Makes sure that a server which echoes the key does not bring it into logs."""
        error.message = self._account.conceal(error.message)
        error.args = (error.message,)
        return error


def _path(remote: str, *rest: str) -> str:
    return "/".join((BATCHES, quote(remote, safe=""), *rest))
