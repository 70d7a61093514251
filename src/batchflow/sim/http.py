"""The routes: reads a request, lets the faults of the call have their way, asks the world, dresses the reply.

Every call of the API goes through `Api._replied`, which is the order in which things can go wrong.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from batchflow.sim import models, wire
from batchflow.sim.answers import input_tokens
from batchflow.sim.batches import Account, Batch, Status
from batchflow.sim.clock import http_date, rfc3339
from batchflow.sim.connection import Gone, Silence, hung_up, kill, read_body, reset
from batchflow.sim.faults import FaultPlan, Hits
from batchflow.sim.paging import page, page_shape
from batchflow.sim.replies import ResultsReply, error_reply, json_reply, refusal, status_reply
from batchflow.sim.results import pieces
from batchflow.sim.shapes import Object, mapping
from batchflow.sim.validate import MAX_MESSAGE_BYTES, MAX_REQUESTS, VERSIONS, Context, batch_requests
from batchflow.sim.world import Heard, World

_RATE_LIMIT = 20_000
_SECRET = frozenset({"authorization", "x-api-key", "cookie"})
_POLL_HINT = "10"


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    seconds: float


class Call:
    """One request as a handler sees it."""

    def __init__(self, request: HttpRequest, hits: Hits, request_id: str, body: bytearray) -> None:
        self.request = request
        self.hits = hits
        self.request_id = request_id
        self.body = body
        self.account = Account("", "")
        self.context = Context(version="")

    @property
    def base(self) -> str:
        """The server's address as this client knows it."""
        return f"{self.request.url.scheme}://{self.request.headers.get('host', 'localhost')}"

    @property
    def identity(self) -> str:
        """The id in the path."""
        return self.request.path_params["identity"]


Work = Callable[[Call], Response]
Handler = Callable[[HttpRequest], Awaitable[Response]]


class Api:
    """The endpoints over one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def app(self) -> Starlette:
        """The ASGI application."""
        batches, one = "/v1/messages/batches", "/v1/messages/batches/{identity}"
        routes = [
            self._route("POST", batches, "create", self._create, limit=self._world.settings.max_bytes),
            self._route("GET", batches, "list", self._list),
            self._route("GET", one, "retrieve", self._retrieve),
            self._route("DELETE", one, "delete", self._delete),
            self._route("POST", f"{one}/cancel", "cancel", self._cancel),
            self._route("GET", f"{one}/results", "results", self._results),
            self._route("POST", "/v1/messages", "messages", self._messages),
            self._route("POST", "/v1/messages/count_tokens", "count_tokens", self._count_tokens),
            self._route("GET", "/v1/models", "models", self._models),
            self._route("GET", "/v1/models/{identity}", "models", self._model),
            Route("/_sim/stats", self._stats),
            Route("/_sim/reset", self._reset, methods=["POST"]),
            Route("/_sim/faults", self._faults, methods=["POST"]),
            Route("/_sim/advance", self._advance, methods=["POST"]),
            Route("/_sim/finish", self._finish, methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: self._no_route})

    def _route(self, method: str, path: str, name: str, work: Work, *, limit: int = MAX_MESSAGE_BYTES) -> Route:
        async def endpoint(request: HttpRequest) -> Response:
            return await self._handle(request, name, work, limit)

        return Route(path, endpoint, methods=[method])

    async def _handle(self, request: HttpRequest, name: str, work: Work, limit: int) -> Response:
        """One call from its first byte to its reply, and into the log."""
        call = Call(request, self._world.begin(name), self._world.next_request_id(), bytearray())
        response = await self._replied(call, name, work, limit)
        self._world.remember(_heard(call, name, response, self._world.clock.now()))
        return response

    async def _replied(self, call: Call, name: str, work: Work, limit: int) -> Response:
        """The reply, with everything that goes wrong on the way to it."""
        request, hits = call.request, call.hits
        try:
            await self._before(request, hits)
            call.body = await self._body(call, name, limit)
            await _held(call, "before")
            response = refusal(hits, self._id_in_body(call)) or self._done(call, work)
            response = await self._after(call, response)
        except Gone:
            return Silence()
        except wire.ApiError as problem:
            response = error_reply(problem, self._id_in_body(call))
            if problem.status == 413 and self._world.settings.html_413:
                response = Response(wire.html_error(413), status_code=413, media_type="text/html")
        return self._dressed(call, response)

    @staticmethod
    async def _before(request: HttpRequest, hits: Hits) -> None:
        """What goes wrong when the request arrives."""
        rule = hits.get("kill", "reset_before")
        if rule is None or rule.at_byte is not None or (rule.fault == "kill" and rule.when == "after"):
            return
        kill(rule)
        reset(request.scope)
        raise Gone

    async def _body(self, call: Call, name: str, limit: int) -> bytearray:
        rule = call.hits.get("kill", "reset_before")
        cut = rule if rule is not None and rule.at_byte is not None and name != "results" else None
        body = await read_body(call.request, limit=limit, cut=cut)
        if body is None:
            raise wire.ApiError(413)
        return body

    def _done(self, call: Call, work: Work) -> Response:
        """The healthy part: who is asking, under which rules, and the work itself."""
        headers = call.request.headers
        call.account = self._world.account(
            _key(headers.get("authorization"), headers.get("x-api-key")), headers.get("anthropic-workspace-id")
        )
        call.context = self._context(call.request)
        return work(call)

    def _context(self, request: HttpRequest) -> Context:
        version = request.headers.get("anthropic-version")
        if version is None:
            raise wire.ApiError(400, "anthropic-version: header is required")
        if version not in VERSIONS:
            raise wire.ApiError(400, f'anthropic-version: "{version}" is not a valid version')
        if request.headers.get("content-encoding", "identity") != "identity":
            raise wire.ApiError(400, "The content encoding of the request body is not supported.")
        named = ",".join(request.headers.getlist("anthropic-beta")).split(",")
        betas = frozenset(beta.strip() for beta in named if beta.strip())
        return Context(version=version, betas=betas, strict_schemas=self._world.settings.strict_schemas)

    async def _after(self, call: Call, response: Response) -> Response:
        """What goes wrong once the work is done: it counts, but the caller may never hear of it."""
        hits = call.hits
        rule = hits.get("kill")
        if rule is not None and rule.when == "after" and rule.at_byte is None:
            kill(rule)
            reset(call.request.scope)
            raise Gone
        if "reset_after" in hits or "late" in hits:
            reset(call.request.scope)
            raise Gone
        await _held(call, "after")
        if (rule := hits.get("status_after")) is not None:
            return status_reply(rule, self._id_in_body(call))
        return response

    @staticmethod
    def _id_in_body(call: Call) -> str | None:
        return None if "no_request_id" in call.hits else call.request_id

    def _dressed(self, call: Call, response: Response) -> Response:
        """The reply with the headers that the API always sends; Date follows the virtual clock."""
        now = self._world.clock.now() + self._world.faults.plan.clock_offset
        headers = response.headers
        headers["date"] = http_date(now)
        headers["server"] = "cloudflare"
        if "no_request_id" not in call.hits:
            headers["request-id"] = call.request_id
        if call.account.workspace:
            headers["anthropic-organization-id"] = call.account.organization
            headers["anthropic-workspace-id"] = call.account.workspace
            headers["anthropic-ratelimit-requests-limit"] = str(_RATE_LIMIT)
            headers["anthropic-ratelimit-requests-remaining"] = str(_RATE_LIMIT - 1)
            headers["anthropic-ratelimit-requests-reset"] = rfc3339(now)
        return response

    def _create(self, call: Call) -> Response:
        rule = call.hits.get("max_requests")
        limit = (rule.limit or 1000) if rule else MAX_REQUESTS
        requests = batch_requests(call.body, limit=limit)
        batch = self._world.create(call.account, call.context, requests, call.hits)
        return json_reply(self._world.shown(batch, call.base, call.hits))

    def _retrieve(self, call: Call) -> Response:
        batch = self._world.find(call.identity, call.account)
        batch.retrieves += 1
        rule = call.hits.get("fresh_404")
        if rule is not None and batch.retrieves <= (rule.limit or 1):
            raise wire.not_found(batch.id)
        response = json_reply(self._world.shown(batch, call.base, call.hits))
        if batch.status(self._world.now()) is not Status.ENDED:
            response.headers["retry-after"] = _POLL_HINT
        return response

    def _list(self, call: Call) -> Response:
        listed = self._world.shelf.listed(call.account, self._world.now())
        if (rule := call.hits.get("omit")) is not None:
            listed = listed[rule.rows or 1 :]
        chosen, more = page(call.request.query_params, [batch.id for batch in listed], listed)
        return json_reply(page_shape([self._world.shown(batch, call.base, call.hits) for batch in chosen], more=more))

    def _cancel(self, call: Call) -> Response:
        batch = self._world.find(call.identity, call.account)
        self._world.cancel(batch, call.hits)
        return json_reply(self._world.shown(batch, call.base, call.hits))

    def _delete(self, call: Call) -> Response:
        batch = self._world.find(call.identity, call.account)
        self._world.delete(batch)
        return json_reply({"id": batch.id, "type": "message_batch_deleted"})

    def _results(self, call: Call) -> Response:
        batch: Batch = self._world.find(call.identity, call.account)
        self._world.readable(batch)
        return ResultsReply(pieces(self._world.judge.lines(batch), call.hits), call.hits)

    def _messages(self, call: Call) -> Response:
        params = _params(call.body)
        if (params or {}).get("stream"):
            raise wire.ApiError(400, "stream: the simulator does not stream")
        context = msgspec.structs.replace(call.context, batch=False)
        return json_reply(self._world.judge.reply(params, context, call.account.workspace, self._world.now()))

    @staticmethod
    def _count_tokens(call: Call) -> Response:
        params = _params(call.body) or {}
        for field in ("model", "messages"):
            if field not in params:
                raise wire.ApiError(400, f"{field}: Field required")
        model = models.find(str(params["model"]))
        if model is None:
            raise wire.ApiError(404, f"model: {params['model']}")
        return json_reply({"input_tokens": input_tokens(params, model)})

    @staticmethod
    def _models(call: Call) -> Response:
        known = [models.info(model) for model in models.CATALOGUE]
        chosen, more = page(call.request.query_params, [model["id"] for model in known], known)
        return json_reply(page_shape(chosen, more=more))

    @staticmethod
    def _model(call: Call) -> Response:
        model = models.find(call.identity)
        if model is None:
            raise wire.ApiError(404, f"model: {call.identity}")
        return json_reply(models.info(model))

    async def _no_route(self, _request: HttpRequest, problem: Exception) -> Response:
        status = problem.status_code if isinstance(problem, HTTPException) else 500
        text = "Not Found" if status == 404 else "Method Not Allowed"
        return error_reply(wire.ApiError(status, text), self._world.next_request_id())

    async def _stats(self, _request: HttpRequest) -> Response:
        return json_reply(self._world.stats())

    async def _reset(self, request: HttpRequest) -> Response:
        body = await request.body()
        return _control(lambda: self._world.reset(_plan(body)))

    async def _faults(self, request: HttpRequest) -> Response:
        body = await request.body()
        return _control(lambda: self._world.replan(_plan(body)))

    async def _finish(self, _request: HttpRequest) -> Response:
        return _control(self._world.finish)

    async def _advance(self, request: HttpRequest) -> Response:
        body = await request.body()
        return _control(lambda: self._world.clock.advance(msgspec.json.decode(body, type=_Advance).seconds))


def _heard(call: Call, name: str, response: Response, now: float) -> Heard:
    request = call.request
    return Heard(
        at=now,
        endpoint=name,
        method=request.method,
        path=request.url.path,
        status=None if isinstance(response, Silence) else response.status_code,
        faults=call.hits.names(),
        headers={key: value for key, value in request.headers.items() if key not in _SECRET},
    )


async def _held(call: Call, when: str) -> None:
    """Keeps a slow call waiting for so many real seconds, or until the caller hangs up; the work is done either way."""
    rule = call.hits.get("slow")
    if rule is not None and rule.when == when:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hung_up(call.request.receive), rule.seconds)


def _key(authorization: str | None, api_key: str | None) -> str:
    """The credential; a bearer token and an x-api-key are worth the same."""
    scheme, _, token = (authorization or "").partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else (api_key or "")
    if not key:
        raise wire.ApiError(401)
    return key


def _params(body: bytearray) -> Object | None:
    try:
        return mapping(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise wire.ApiError(400, f"The request body is not valid JSON: {problem}") from None


def _plan(body: bytes) -> FaultPlan:
    return msgspec.json.decode(body, type=FaultPlan) if body else FaultPlan()


def _control(act: Callable[[], object]) -> Response:
    try:
        act()
    except ValueError as problem:
        return json_reply({"error": str(problem)}, status=400)
    return json_reply({"ok": True})
