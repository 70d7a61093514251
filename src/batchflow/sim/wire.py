"""What goes over the wire: error bodies, headers, ids. The one place that knows how the API spells things."""

from typing import Any

from batchflow.sim.draw import digest, token

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    499: "client_closed_request",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

ERROR_TEXTS = {
    400: "The request was refused.",
    401: "API key is invalid.",
    402: "There is a problem with billing or payment for your organization.",
    403: "Your API key does not have permission to use the specified resource.",
    404: "Not found",
    408: "Request timed out.",
    409: "The request conflicts with the current state of the resource.",
    413: "Request exceeds the maximum allowed number of bytes.",
    429: "This request would exceed your organization's rate limit. Please try again later.",
    500: "Internal server error",
    503: "Service unavailable",
    504: "The request timed out while processing.",
    529: "Overloaded",
}

CREDIT = (
    "Your credit balance is too low to access the Anthropic API. "
    "Please go to Plans & Billing to upgrade or purchase credits."
)


class ApiError(Exception):
    """A reply that is not a success; handlers raise it and the endpoint turns it into a response."""

    def __init__(self, status: int, message: str | None = None, *, kind: str | None = None) -> None:
        self.status = status
        self.message = message if message is not None else error_text(status)
        self.kind = kind or error_type(status)
        super().__init__(f"{status} {self.kind}: {self.message}")


def error_type(status: int) -> str:
    """The error type that belongs to an HTTP status."""
    return ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def error_text(status: int) -> str:
    """What the API says with a status when there is nothing special to say."""
    return ERROR_TEXTS.get(status, f"HTTP {status}")


def error_body(kind: str, message: str, *, request_id: str | None, error_code: str | None = None) -> dict[str, Any]:
    """An HTTP error's JSON."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if error_code:
        error["details"] = {"error_code": error_code}
    return {"type": "error", "error": error, "request_id": request_id}


def html_error(status: int) -> bytes:
    """The error page of a machine in front of the API."""
    title = f"{status} {error_text(status)}"
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>cdn</body></html>\n".encode()


def batch_id(seed: int, serial: int) -> str:
    """The id of the n-th batch."""
    return f"msgbatch_01{token(digest('batch', seed, serial))}"


def request_id(seed: int, serial: int) -> str:
    """The id of the n-th HTTP request."""
    return f"req_01{token(digest('request', seed, serial))}"


def not_found(identifier: str) -> ApiError:
    """The reply for a batch that is not there, or not yours."""
    return ApiError(404, f"Message Batch {identifier} not found.")
