"""The words of a fault plan: every fault, where it can happen, the fields it takes, and a sentence about it.

The table is what `Rule` checks itself against and what the command line shows; the code that does each thing is in
connection.py, replies.py, world.py, results.py and rows.py.
"""

from typing import Final, Literal

import msgspec

Endpoint = Literal[
    "create", "retrieve", "list", "cancel", "delete", "results", "messages", "count_tokens", "models", "all"
]

FaultName = Literal[
    "reset_before", "reset_after", "slow", "kill",
    "status", "status_after", "redirect", "credit", "spend_cap", "workspace_limit", "on_hold", "revoked",
    "max_requests", "queue_limit",
    "duration", "never_ends", "unlisted", "hidden", "late", "lookalike",
    "spare",
    "fresh_404", "unknown_status", "gradual_counts", "lying_counts", "results_url", "omit", "omit_nulls",
    "no_request_id",
    "truncate", "reset_body", "duplicate_rows", "missing_rows", "foreign_rows", "malformed_rows", "blank_lines",
    "crlf", "u2028", "long_line", "gzip", "flat_errors", "unknown_result", "no_final_newline",
]  # fmt: skip

RowWord = Literal[
    "overloaded", "server_error", "rate_limited", "timeout", "invalid", "too_large", "credit", "permission",
    "expired", "canceled", "missing",
    "refusal", "max_tokens", "pause_turn", "context_exceeded", "bad_json", "empty",
]  # fmt: skip


class Fault(msgspec.Struct, frozen=True):
    """One kind of fault; `on` is empty where it can happen at every endpoint."""

    says: str
    on: str = ""
    takes: str = ""

    def fits(self, endpoint: str) -> bool:
        """Whether the fault means anything at this endpoint."""
        return not self.on or endpoint == "all" or endpoint in self.on.split()


_ERROR = "status type message error_code retry_after should_retry body"
_BATCH = "create retrieve list cancel"

FAULTS: Final[dict[FaultName, Fault]] = {
    "reset_before": Fault("The connection is reset before anything is done; with at_byte, in mid-body.", "", "at_byte"),
    "reset_after": Fault("The connection is reset after the work is done: the reply is lost, the batch exists."),
    "slow": Fault("The reply is held for real seconds, the work done before or after the wait.", "", "seconds when"),
    "kill": Fault("SIGKILL to a process before or after the work, or at a byte of the body.", "", "pid when at_byte"),
    "status": Fault("An error status in place of the work.", "", _ERROR),
    "status_after": Fault("An error status although the work was done.", "", _ERROR),
    "redirect": Fault("A redirect to the address in value.", "", "value status"),
    "credit": Fault("400: the credit balance is too low.", "", "body"),
    "spend_cap": Fault("429 enforced_spend_limit_reached, without retry-after.", "", "body"),
    "workspace_limit": Fault("400: the usage limit that was set for the workspace is reached.", "", "body"),
    "on_hold": Fault("400 organization_on_hold.", "", "body"),
    "revoked": Fault("401: the API key is invalid.", "", "body"),
    "max_requests": Fault("A batch of more than limit requests (default 1000) is refused.", "create", "limit"),
    "queue_limit": Fault("429 when more than limit requests would be in processing.", "create", "limit"),
    "duration": Fault(
        "The batch takes so many virtual seconds; over a day, its late rows expire.", "create", "seconds"
    ),
    "never_ends": Fault("The batch stays in_progress, past its expiry too.", "create"),
    "unlisted": Fault("Listings leave the batch out for virtual seconds, or for ever.", "create", "seconds"),
    "hidden": Fault("Every call by id answers 404 for virtual seconds, or for ever.", "create", "seconds"),
    "late": Fault("The reply is lost, and the batch comes into being only virtual seconds later.", "create", "seconds"),
    "lookalike": Fault("Somebody else makes batches of the same count at the same moment.", "create", "rows"),
    "spare": Fault("The cancel comes too late for every row: none is canceled.", "cancel"),
    "fresh_404": Fault("The first limit (default 1) retrieves of each batch answer 404.", "retrieve", "limit"),
    "unknown_status": Fault("processing_status is value (default validating).", _BATCH, "value"),
    "gradual_counts": Fault("Counts move while the batch is in progress.", _BATCH),
    "lying_counts": Fault("Counts of a batch in progress do not add up.", _BATCH),
    "results_url": Fault("results_url is relative, absent, or at the host in value.", _BATCH, "value"),
    "omit": Fault("The newest rows (default 1) batches are missing from this listing.", "list", "rows"),
    "omit_nulls": Fault("Fields that are null are left out.", _BATCH),
    "no_request_id": Fault("No request-id header, and null in error bodies."),
    "truncate": Fault("The file ends early, at a byte, a row, or half-way.", "results", "framing at_byte rows"),
    "reset_body": Fault("The connection is reset in mid-file.", "results", "at_byte rows"),
    "duplicate_rows": Fault("The first rows lines come twice.", "results", "rows"),
    "missing_rows": Fault("The first rows lines are missing, though the counts have them.", "results", "rows"),
    "foreign_rows": Fault("There are rows lines of custom_ids that nobody sent.", "results", "rows"),
    "malformed_rows": Fault("The first rows lines are torn.", "results", "rows"),
    "blank_lines": Fault("An empty line after every line.", "results"),
    "crlf": Fault("Lines end in CR LF.", "results"),
    "u2028": Fault("The first rows texts hold raw U+2028 and U+0085.", "results", "rows"),
    "long_line": Fault("The first rows texts are so many megabytes long (default 50).", "results", "megabytes rows"),
    "gzip": Fault("The file is gzip-compressed.", "results"),
    "flat_errors": Fault("Errored rows carry their error without the outer object.", "results"),
    "unknown_result": Fault("The first rows results are of a type that nobody knows.", "results", "rows"),
    "no_final_newline": Fault("The last line has no line end.", "results"),
}

CHOOSING: Final = frozenset({"on", "fault", "nth", "every", "since", "count"})
"""The fields every rule may have: they choose its calls."""

ROW_WORDS: Final[dict[RowWord, str]] = {
    "overloaded": "errored, overloaded_error",
    "server_error": "errored, api_error",
    "rate_limited": "errored, rate_limit_error",
    "timeout": "errored, timeout_error",
    "invalid": "errored, invalid_request_error",
    "too_large": "errored, request_too_large",
    "credit": "errored, invalid_request_error with the text of an empty credit balance",
    "permission": "errored, permission_error",
    "expired": "expired",
    "canceled": "canceled",
    "missing": "no line at all; counted as errored",
    "refusal": "succeeded, stopped by refusal, no content",
    "max_tokens": "succeeded, half an answer, stopped by max_tokens",
    "pause_turn": "succeeded, half an answer, stopped by pause_turn",
    "context_exceeded": "succeeded, half an answer, stopped by model_context_window_exceeded",
    "bad_json": "succeeded, but the text is no JSON",
    "empty": "succeeded without content",
}
