"""The closed set of outcome words: the same in code, database, command line, metrics and docs."""

from enum import StrEnum


class Word(StrEnum):
    """What became of one request."""

    OK = "ok"

    # The request never became an answer.
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    UNKNOWN_MODEL = "unknown_model"
    UNAUTHORIZED = "unauthorized"
    NO_CREDIT = "no_credit"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    EXPIRED = "expired"
    CANCELED = "canceled"
    MISSING = "missing"
    ARCHIVED = "archived"

    # There is an answer (so it was billed), but not the one that was wanted.
    TRUNCATED = "truncated"
    REFUSED = "refused"
    UNFINISHED = "unfinished"
    CONTEXT_EXCEEDED = "context_exceeded"
    BAD_OUTPUT = "bad_output"
    REJECTED = "rejected"

    # Our side of the path.
    BUILD_ERROR = "build_error"
    SINK_ERROR = "sink_error"


BILLED = frozenset(
    {Word.OK, Word.TRUNCATED, Word.REFUSED, Word.UNFINISHED, Word.CONTEXT_EXCEEDED, Word.BAD_OUTPUT, Word.REJECTED}
)
"""Words that stand for an answer that was paid for: only succeeded rows are billed, whatever we think of them."""
