"""Which outcome word a reply or a result row stands for: the one table.

The API spreads the truth over an HTTP status, an error type, an optional error code, the message and a stop reason, and
the type lies where money is concerned: an empty prepaid balance arrives as `invalid_request_error`, even per row. So
the most telling sign is read first:

    code      stable where it is given
    message   only the sentences that overrule the type
    status    5xx, whatever the body says (a gateway's page has no type)
    type      what remains
    status    what has no type
"""

import re
from collections.abc import Mapping

from batchflow.model.words import Word

CODES: Mapping[str, Word] = {
    "enforced_spend_limit_reached": Word.NO_CREDIT,
    "contract_spend_limit_reached": Word.NO_CREDIT,
    "linked_organization_spend_limit_reached": Word.NO_CREDIT,
    "linked_organization_billing_unavailable": Word.NO_CREDIT,
    "ramp_limit_exceeded": Word.RATE_LIMITED,
    # Disabled for trust and safety; the code is never used for billing, so no top-up would help.
    "organization_on_hold": Word.UNAUTHORIZED,
    # The customer's own key management says no: somebody has to let us in again, and every row must wait for it.
    "cmek_key_disabled": Word.UNAUTHORIZED,
    "cmek_key_network_blocked": Word.UNAUTHORIZED,
    "request_body_too_large_after_decoding": Word.TOO_LARGE,
    "request_body_timeout": Word.SERVER_ERROR,
}

SAYINGS: tuple[tuple[re.Pattern[str], Word], ...] = (
    (re.compile(r"credit balance is too low", re.IGNORECASE), Word.NO_CREDIT),
    (re.compile(r"you have reached your specified", re.IGNORECASE), Word.NO_CREDIT),
    (
        re.compile(r"your (account|organization)'s (monthly )?spend", re.IGNORECASE),
        Word.NO_CREDIT,
    ),  # a 429, no wait mends
    (re.compile(r"organization (has been disabled|is on hold)", re.IGNORECASE), Word.UNAUTHORIZED),
    (re.compile(r"prompt is too long|exceed(s)? (the )?context (limit|window)", re.IGNORECASE), Word.CONTEXT_EXCEEDED),
)

TYPES: Mapping[str, Word] = {
    "invalid_request_error": Word.INVALID,
    "invalid_request": Word.INVALID,
    "authentication_error": Word.UNAUTHORIZED,
    "permission_error": Word.UNAUTHORIZED,
    "billing_error": Word.NO_CREDIT,
    "request_too_large": Word.TOO_LARGE,
    "rate_limit_error": Word.RATE_LIMITED,
    "overloaded_error": Word.OVERLOADED,
    "timeout_error": Word.SERVER_ERROR,
    "api_error": Word.SERVER_ERROR,
    "conflict_error": Word.SERVER_ERROR,
}

STATUSES: Mapping[int, Word] = {
    401: Word.UNAUTHORIZED,
    402: Word.NO_CREDIT,
    403: Word.UNAUTHORIZED,
    404: Word.MISSING,
    408: Word.SERVER_ERROR,
    409: Word.SERVER_ERROR,
    410: Word.ARCHIVED,
    413: Word.TOO_LARGE,
    429: Word.RATE_LIMITED,
    499: Word.SERVER_ERROR,
}

STOPS: Mapping[str, Word] = {
    "max_tokens": Word.TRUNCATED,
    "refusal": Word.REFUSED,
    "pause_turn": Word.UNFINISHED,
    "model_context_window_exceeded": Word.CONTEXT_EXCEEDED,
}

_GONE = re.compile(r"archived|no longer available|results have expired", re.IGNORECASE)


def error_word(*, status: int | None = None, type: str = "", code: str = "", message: str = "") -> Word:
    """Reads an error: of a whole call when there is a status, of one result row when there is none."""
    if word := CODES.get(code):
        return word
    if status is not None and status >= 500:
        return Word.OVERLOADED if status == 529 or type == "overloaded_error" else Word.SERVER_ERROR
    if word := next((word for saying, word in SAYINGS if saying.search(message)), None):
        return word
    if type == "not_found_error":
        return _not_found(status, message)
    return TYPES.get(type) or _untyped(status, message)


def stop_word(reason: str | None) -> Word:
    """Reads a stop reason: all that is not known to fall short is an answer."""
    return STOPS.get(reason, Word.OK) if reason else Word.OK


def _not_found(status: int | None, message: str) -> Word:
    if message.startswith("model:"):
        return Word.UNKNOWN_MODEL
    if status is None:  # in a row: a file or container that its own params name
        return Word.INVALID
    return Word.ARCHIVED if _GONE.search(message) else Word.MISSING


def _untyped(status: int | None, message: str) -> Word:
    if status is None:  # a row that failed in a way nobody has heard of: it was not billed, so asking again is safe
        return Word.SERVER_ERROR
    if status in {404, 410} and _GONE.search(message):
        return Word.ARCHIVED
    return STATUSES.get(status, Word.INVALID if 400 <= status < 500 else Word.SERVER_ERROR)
