"""The table of outcome words: a row of the test for every sign the API gives."""

import pytest

from batchflow.machine.outcome import CODES, STOPS, error_word, stop_word
from batchflow.model.words import Word

CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
LIMIT = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
WORKSPACE = "You have reached your specified workspace API usage limits."
SPEND = "This request would exceed your account's monthly spend limit. Please try again later."
DISABLED = "This organization has been disabled."

CALLS = [
    # status, type, code, message, word
    (400, "invalid_request_error", "", "requests: List should have at least 1 item after validation, not 0", "invalid"),
    (400, "invalid_request_error", "", "requests.0.custom_id: Field required", "invalid"),
    (400, "invalid_request_error", "", "requests.0.custom_id: String should have at most 64 characters", "invalid"),
    (400, "invalid_request_error", "", "requests: custom_id's must be unique within a batch.", "invalid"),
    (400, "invalid_request_error", "", "The request body is not valid JSON: ...", "invalid"),
    (400, "invalid_request_error", "request_body_encoding_invalid", "", "invalid"),
    (400, "invalid_request_error", "request_body_timeout", "", "server_error"),
    (400, "invalid_request_error", "organization_on_hold", "disabled", "unauthorized"),
    (400, "invalid_request_error", "cmek_key_disabled", "", "unauthorized"),
    (400, "invalid_request_error", "cmek_key_network_blocked", "", "unauthorized"),
    (400, "invalid_request_error", "", CREDIT, "no_credit"),
    (400, "invalid_request_error", "", LIMIT, "no_credit"),
    (400, "invalid_request_error", "", WORKSPACE, "no_credit"),
    (400, "invalid_request_error", "", DISABLED, "unauthorized"),
    (400, "", "", "", "invalid"),
    (401, "authentication_error", "", "API key is invalid.", "unauthorized"),
    (401, "", "", "<html>", "unauthorized"),
    (402, "billing_error", "", "", "no_credit"),
    (402, "billing_error", "linked_organization_spend_limit_reached", "", "no_credit"),
    (402, "billing_error", "linked_organization_billing_unavailable", "", "no_credit"),
    (402, "", "", "", "no_credit"),
    (403, "permission_error", "", "", "unauthorized"),
    (403, "", "", "", "unauthorized"),
    (404, "not_found_error", "", "Message Batch msgbatch_1 not found.", "missing"),
    (404, "not_found_error", "", "Message Batch msgbatch_1 has no available results.", "missing"),
    (404, "not_found_error", "", "Message Batch msgbatch_1 has been archived.", "archived"),
    (404, "not_found_error", "", "model: claude-9", "unknown_model"),
    (404, "", "", "no such page", "missing"),
    (404, "", "", "The results are no longer available", "archived"),
    (408, "", "", "", "server_error"),
    (409, "conflict_error", "", "", "server_error"),
    (410, "", "", "", "archived"),
    (413, "request_too_large", "", "", "too_large"),
    (413, "", "", "413 Payload Too Large cloudflare", "too_large"),
    (413, "request_too_large", "request_body_too_large_after_decoding", "", "too_large"),
    (418, "", "", "", "invalid"),
    (422, "", "", "", "invalid"),
    (429, "rate_limit_error", "", "This request would exceed your organization's rate limit.", "rate_limited"),
    (429, "rate_limit_error", "ramp_limit_exceeded", "", "rate_limited"),
    (429, "rate_limit_error", "enforced_spend_limit_reached", "", "no_credit"),
    (429, "rate_limit_error", "", SPEND, "no_credit"),
    (429, "rate_limit_error", "contract_spend_limit_reached", "", "no_credit"),
    (429, "", "", "", "rate_limited"),
    (499, "", "", "", "server_error"),
    (500, "api_error", "", "Internal server error", "server_error"),
    (500, "overloaded_error", "", "", "overloaded"),
    (502, "", "", "bad gateway", "server_error"),
    (503, "", "", "", "server_error"),
    (503, "api_error", "cmek_key_unreachable", "", "server_error"),
    (504, "timeout_error", "", "", "server_error"),
    (529, "overloaded_error", "", "Overloaded", "overloaded"),
    (529, "", "", "", "overloaded"),
    (529, "invalid_request_error", "", "prompt is too long", "overloaded"),
    (302, "", "", "", "server_error"),
]

ROWS = [
    ("not_found_error", "", "model: claude-9", "unknown_model"),
    ("not_found_error", "", "File not found: file_1", "invalid"),
    ("invalid_request_error", "", "messages: Field required", "invalid"),
    ("invalid_request_error", "", '"stream=True" is not supported in the Message Batches API', "invalid"),
    ("invalid_request_error", "", "max_tokens: must be greater than or equal to 1", "invalid"),
    ("invalid_request_error", "", "max_tokens: 9999999 > 64000, which is the maximum allowed number of ...", "invalid"),
    ("invalid_request_error", "", "foo: Extra inputs are not permitted", "invalid"),
    ("invalid_request_error", "", "Unable to download the file. Please verify the URL and try again.", "invalid"),
    ("invalid_request_error", "", '"thinking.type.enabled" is not supported for this model.', "invalid"),
    ("invalid_request_error", "", "prompt is too long: 215000 tokens > 200000 maximum", "context_exceeded"),
    (
        "invalid_request_error",
        "",
        "input length and `max_tokens` exceed context limit: 190000 + 64000",
        "context_exceeded",
    ),
    ("invalid_request_error", "", CREDIT, "no_credit"),
    ("invalid_request_error", "", LIMIT, "no_credit"),
    ("invalid_request_error", "", WORKSPACE, "no_credit"),
    ("invalid_request_error", "", DISABLED, "unauthorized"),
    ("rate_limit_error", "", SPEND, "no_credit"),
    ("invalid_request", "", "an older server's spelling", "invalid"),
    ("billing_error", "", "", "no_credit"),
    ("rate_limit_error", "enforced_spend_limit_reached", "", "no_credit"),
    ("rate_limit_error", "", "", "rate_limited"),
    ("authentication_error", "", "", "unauthorized"),
    ("permission_error", "", "", "unauthorized"),
    ("request_too_large", "", "", "too_large"),
    ("overloaded_error", "", "Overloaded", "overloaded"),
    ("api_error", "", "Internal server error", "server_error"),
    ("timeout_error", "", "", "server_error"),
    ("something_new", "", "", "server_error"),
    ("", "", "", "server_error"),
]


@pytest.mark.parametrize(("status", "kind", "code", "message", "word"), CALLS)
def test_a_call_that_failed(status, kind, code, message, word):
    assert error_word(status=status, type=kind, code=code, message=message) == word


@pytest.mark.parametrize(("kind", "code", "message", "word"), ROWS)
def test_a_row_that_failed(kind, code, message, word):
    assert error_word(type=kind, code=code, message=message) == word


@pytest.mark.parametrize("code", CODES)
def test_a_code_counts_more_than_what_type_and_message_say(code):
    assert error_word(status=400, type="invalid_request_error", code=code, message=CREDIT) is CODES[code]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        *((reason, Word.OK) for reason in ("end_turn", "stop_sequence", "tool_use", "something_new", "", None)),
        ("max_tokens", Word.TRUNCATED),
        ("refusal", Word.REFUSED),
        ("pause_turn", Word.UNFINISHED),
        ("model_context_window_exceeded", Word.CONTEXT_EXCEEDED),
    ],
)
def test_an_answer_by_its_stop_reason(reason, word):
    assert stop_word(reason) is word


def test_no_stop_reason_stands_for_something_that_was_not_billed():
    from batchflow.model.words import BILLED

    assert set(STOPS.values()) <= BILLED
