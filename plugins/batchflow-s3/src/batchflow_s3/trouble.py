"""What goes wrong at a server, as a sentence that names bucket and key, and the next thing to do."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from batchflow.plugin import BatchflowError

FOREIGN = (BotoCoreError, ClientError, aiohttp.ClientError, OSError, TimeoutError)
"""Everything the library lets through: its own errors, the HTTP library's, the system's."""

_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden", "403"})
_KEYS = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
)
_NOT_THERE = frozenset({"NoSuchKey", "NotFound", "404"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
)
_BUSY = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "503", "500"})


def code(error: BaseException) -> str:
    """Gives the server's word for an error; empty where it is not the server who said it."""
    if not isinstance(error, ClientError):
        return ""
    reply = cast("dict[str, Any]", error.response)
    return str(reply.get("Error", {}).get("Code", ""))


def is_missing(error: BaseException) -> bool:
    """Tells whether a server said that there is no such object."""
    return code(error) in _NOT_THERE


@contextmanager
def told_as(kind: Callable[..., BatchflowError], doing: str, known: str) -> Generator[None]:
    """Turns what goes wrong in a block into one of our errors. `doing` names the thing, `known` says what is safe."""
    try:
        yield
    except FOREIGN as error:
        raise kind(f"{doing}: {_said(error)}. {known}", hint=_next_step(error)) from error


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        reply = cast("dict[str, Any]", error.response).get("Error", {})
        words = str(reply.get("Message") or "").rstrip(". ")
        return f"{words} ({code(error)})" if words else code(error)
    return str(error).rstrip(". ") or type(error).__name__


def _next_step(error: Exception) -> str:
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            return "give keys as every AWS tool takes them (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, a role), then run `batchflow resume`"
        case NoRegionError():
            return "set `region:` or AWS_REGION, then run `batchflow resume`"
        case EndpointConnectionError():
            return "look whether `endpoint_url:` is right and the server is up, then run `batchflow resume`"
        case _:
            return _by_code(code(error))


def _by_code(said: str) -> str:
    if said == "NoSuchBucket":
        return "make the bucket or mend the `url:`, then run `batchflow resume`"
    if said in _DENIED:
        return "allow s3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload there (and the use of the KMS key), then run `batchflow resume`"
    if said in _KEYS:
        return "look at the keys in use with `aws sts get-caller-identity`, then run `batchflow resume`"
    if said in _ELSEWHERE:
        return "set `region:` to the bucket's own, then run `batchflow resume`"
    if said in _BUSY:
        return "the server is busy: it is tried again by itself; `batchflow resume` tries at once"
    return "mend it, then run `batchflow resume`"
