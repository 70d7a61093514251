"""What the API refuses, and when.

The envelope of a batch is checked when it is created, and refuses the whole call; everything inside `params` is
checked when the row is processed, and is seen only in the results.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

from batchflow.sim.models import Model, find, output_limit
from batchflow.sim.shapes import Object, listing, mapping, number, objects
from batchflow.sim.wire import ApiError

MAX_REQUESTS = 100_000
MAX_BYTES = 256_000_000
MAX_MESSAGE_BYTES = 32_000_000
OLD_VERSION = "2023-06-01"
VERSION = "2026-10-21"
VERSIONS = frozenset({OLD_VERSION, VERSION})

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SAMPLING = ("temperature", "top_p", "top_k")
_KEYS = frozenset({
    "model", "max_tokens", "messages", "system", "metadata", "stop_sequences", "stream", "temperature", "top_p",
    "top_k", "tools", "tool_choice", "thinking", "output_config", "service_tier", "container", "diagnostics",
    "inference_geo", "cache_control", "speed", "user_profile_id", "mcp_servers", "context_management",
})  # fmt: skip
_CACHE_BREAKPOINTS = 4


class Request(msgspec.Struct):
    """One request of a batch; the params stay the bytes they came as, a view into the body."""

    custom_id: str
    params: msgspec.Raw


class _Loose(msgspec.Struct):
    custom_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Body(msgspec.Struct):
    requests: list[Request]


class _LooseBody(msgspec.Struct):
    requests: list[_Loose] | msgspec.UnsetType = msgspec.UNSET


_decoder = msgspec.json.Decoder(_Body)


def batch_requests(body: bytearray, *, limit: int = MAX_REQUESTS) -> list[Request]:
    """The requests of a create call, or the ApiError the API would answer."""
    try:
        requests = _decoder.decode(body).requests
    except msgspec.ValidationError:
        raise _explained(body) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ApiError(400, f"The request body is not valid JSON: {problem}") from None
    _check_length(len(requests), limit)
    _check_ids(requests)
    return requests


def _check_length(count: int, limit: int) -> None:
    if count < 1:
        raise ApiError(400, "requests: List should have at least 1 item after validation, not 0")
    if count > limit:
        raise ApiError(400, f"requests: List should have at most {limit} items after validation, not {count}")


def _check_ids(requests: list[Request]) -> None:
    seen: set[str] = set()
    for index, request in enumerate(requests):
        custom_id = request.custom_id
        if not _CUSTOM_ID.fullmatch(custom_id):
            raise _bad_id(index, custom_id)
        if custom_id in seen:
            text = f"requests: custom_id's must be unique within a batch. Duplicate custom_id found: {custom_id}"
            raise ApiError(400, text)
        seen.add(custom_id)


def _bad_id(index: int, custom_id: str) -> ApiError:
    where = f"requests.{index}.custom_id"
    if len(custom_id) > 64:
        return ApiError(400, f"{where}: String should have at most 64 characters")
    return ApiError(400, f"{where}: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")


def _explained(body: bytearray) -> ApiError:
    """The API's words for a body that is JSON but not a list of requests."""
    try:
        requests = msgspec.json.decode(body, type=_LooseBody).requests
    except msgspec.ValidationError as problem:
        return ApiError(400, f"requests: {problem}")
    if isinstance(requests, msgspec.UnsetType):
        return ApiError(400, "requests: Field required")
    for index, request in enumerate(requests):
        for field in ("custom_id", "params"):
            value = getattr(request, field)
            if isinstance(value, msgspec.UnsetType):
                return ApiError(400, f"requests.{index}.{field}: Field required")
        if not bytes(request.custom_id or b"").startswith(b'"'):
            return ApiError(400, f"requests.{index}.custom_id: Input should be a valid string")
    return ApiError(400, "requests: Input should be a valid list")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What decides besides the params: the API version, the betas, and whether the row is in a batch."""

    version: str
    betas: frozenset[str] = frozenset()
    batch: bool = True
    strict_schemas: bool = False


class Problem(msgspec.Struct, frozen=True):
    """Why one request is refused."""

    kind: str
    message: str


NOT_AN_OBJECT = Problem("invalid_request_error", "params: Input should be a valid dictionary")


def problem_of(params: Object | None, context: Context) -> Problem | None:
    """The first thing wrong with one request's params, or None."""
    if params is None:
        return NOT_AN_OBJECT
    for field in ("model", "max_tokens", "messages"):
        if field not in params:
            return _invalid(f"{field}: Field required")
    model = find(str(params["model"]))
    if model is None:
        return Problem("not_found_error", f"model: {params['model']}")
    for check in _CHECKS:
        for message in check(params, model, context):
            return _invalid(message)
    return None


def _invalid(message: str) -> Problem:
    return Problem("invalid_request_error", message)


def _keys(params: Object, _model: Model, context: Context) -> Iterator[str]:
    for key in params:
        if key not in _KEYS and not context.betas:
            yield f"{key}: Extra inputs are not permitted"
    if context.batch and params.get("stream"):
        yield '"stream=True" is not supported in the Message Batches API'
    if context.batch and params.get("speed") is not None:
        yield "speed: fast mode is not supported in the Message Batches API"


def _max_tokens(params: Object, model: Model, context: Context) -> Iterator[str]:
    asked = number(params["max_tokens"])
    limit = output_limit(model, context.betas, batch=context.batch)
    if asked is None:
        yield "max_tokens: Input should be a valid integer"
    elif asked < (1 if context.batch else 0):
        yield f"max_tokens: must be greater than or equal to {1 if context.batch else 0}"
    elif asked > limit:
        yield (
            f"max_tokens: {asked} > {limit}, which is the maximum allowed number of output tokens for {model.snapshot}"
        )


def _sampling(params: Object, _model: Model, context: Context) -> Iterator[str]:
    if context.version == OLD_VERSION:
        return
    for key in _SAMPLING:
        if key in params:
            yield f"{key}: sampling parameters are not supported with anthropic-version {context.version}"


def _messages(params: Object, model: Model, context: Context) -> Iterator[str]:
    messages = params["messages"]
    if not isinstance(messages, list):
        yield "messages: Input should be a valid list"
        return
    turns = objects(listing(messages))
    if not turns:
        yield "messages: at least one message is required"
    for index, turn in enumerate(turns):
        yield from _turn(f"messages.{index}", turn, context)
    if turns and turns[-1].get("role") == "assistant" and model.generation >= (4, 6):
        yield "This model does not support assistant message prefill. The conversation must end with a user message."


def _turn(where: str, turn: Object, context: Context) -> Iterator[str]:
    role, content = turn.get("role"), turn.get("content")
    if role not in {"user", "assistant", "system"}:
        yield f"{where}.role: Input should be 'user' or 'assistant'"
    if "content" not in turn:
        yield f"{where}.content: Field required"
    elif not isinstance(content, str | list):
        yield f"{where}.content: Input should be a valid string or list"
    elif not content and role == "user":
        yield f"{where}: user messages must have non-empty content"
    for number_, block in enumerate(objects(content)):
        yield from _block(f"{where}.content.{number_}", block, str(role), context)


def _block(where: str, block: Object, role: str, context: Context) -> Iterator[str]:
    kind = block.get("type")
    if kind is None:
        yield f"{where}.type: Field required"
    if kind == "text" and not block.get("text"):
        yield f"{where}: text content blocks must be non-empty"
    if kind in {"image", "document"} and _unreachable(block):
        yield "Unable to download the file. Please verify the URL and try again."
    if context.version != OLD_VERSION:
        if kind == "document" and role == "assistant":
            yield f"{where}: document blocks are not permitted in assistant messages"
        if kind == "text" and role == "user" and block.get("citations"):
            yield f"{where}.citations: citations are not permitted on text blocks in user messages"


def _unreachable(block: Object) -> bool:
    """Whether a URL source points nowhere: the simulator downloads nothing, and takes .invalid at its word."""
    source = mapping(block.get("source")) or {}
    url = str(source.get("url", ""))
    return source.get("type") == "url" and ".invalid" in url


def _thinking(params: Object, model: Model, _context: Context) -> Iterator[str]:
    kind = (mapping(params.get("thinking")) or {}).get("type")
    always = model.id in {"claude-opus-5-5", "claude-fable-5", "claude-fable-5-1"} or model.line == "mythos"
    refused = (
        (kind == "enabled" and model.generation >= (4, 7))
        or (kind == "disabled" and always)
        or (kind == "adaptive" and model.generation <= (4, 5))
    )
    if refused:
        yield f'"thinking.type.{kind}" is not supported for this model. See the documentation for the supported types.'


def _tools(params: Object, model: Model, _context: Context) -> Iterator[str]:
    choice = (mapping(params.get("tool_choice")) or {}).get("type")
    free = model.id in {"claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1", "claude-mythos-5-1"}
    if free and choice in {"any", "tool"}:
        yield f"tool_choice: type '{choice}' is not supported for this model"
    if params.get("inference_geo") and model.generation < (4, 6):
        yield "inference_geo: is not supported for this model"


def _caching(params: Object, _model: Model, _context: Context) -> Iterator[str]:
    marks = sum("cache_control" in block for block in prompt_blocks(params))
    if marks > _CACHE_BREAKPOINTS:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {marks}."


def prompt_blocks(params: Object) -> Iterator[Object]:
    """The blocks a cache breakpoint may stand on, in render order: tools, system, messages."""
    yield from objects(params.get("tools"))
    yield from objects(params.get("system"))
    for message in objects(params.get("messages")):
        yield from objects(message.get("content"))


def _schema(params: Object, _model: Model, context: Context) -> Iterator[str]:
    output = mapping((mapping(params.get("output_config")) or {}).get("format"))
    if output is None:
        return
    if output.get("type") != "json_schema":
        yield "output_config.format.type: Input should be 'json_schema'"
    elif mapping(output.get("schema")) is None:
        yield "output_config.format.schema: Field required"
    elif context.strict_schemas:
        yield from _strict(mapping(output["schema"]) or {})


def _strict(schema: Object) -> Iterator[str]:
    """The published limits of structured outputs; off by default because only third parties describe them."""
    where = "output_config.format.schema"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        yield f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false"
    for key in ("minLength", "maxLength", "minimum", "maximum"):
        if key in schema:
            yield f"{where}: For '{schema.get('type')}' type, property '{key}' is not supported"
    parts = [*(mapping(schema.get("properties")) or {}).values(), *(mapping(schema.get("$defs")) or {}).values()]
    for part in objects([*parts, schema.get("items"), *listing(schema.get("anyOf"))]):
        yield from _strict(part)


_Check = Callable[[Object, Model, Context], Iterator[str]]
_CHECKS: tuple[_Check, ...] = (_keys, _max_tokens, _sampling, _messages, _thinking, _tools, _caching, _schema)
