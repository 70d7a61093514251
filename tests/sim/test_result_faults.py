"""Each way a results file can arrive broken."""

import json

import anthropic
import httpx2
import pytest


@pytest.fixture
def download(simulate, client_of, requests_of):
    """Downloads the results of a 20-row batch under some faults."""

    def get(*flags, requests=None, **options):
        sim = simulate(*flags, **options)
        client = client_of(sim)
        batch = client.messages.batches.create(requests=requests or requests_of(20))
        sim.clock.advance(3600)
        with client.messages.batches.with_streaming_response.results(batch.id) as reply:
            body = b"".join(reply.iter_bytes())
        again = client.messages.batches.retrieve(batch.id)
        return body, reply.headers, again.request_counts

    return get


def rows_of(body):
    return [json.loads(line) for line in body.decode().split("\n") if line.strip()]


def test_healthy_results_are_shuffled_and_complete(download):
    body, headers, counts = download()
    ids = [row["custom_id"] for row in rows_of(body)]
    assert ids != sorted(ids, key=lambda name: int(name[2:]))
    assert set(ids) == {f"r-{number}" for number in range(20)}
    assert counts.succeeded == 20
    assert body.endswith(b"}\n")
    assert "content-length" not in headers


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("cut", ["rows=5", "at_byte=777"])
def test_a_cut_body_with_framing_is_an_error(download, framing, cut):
    with pytest.raises(httpx2.RemoteProtocolError):
        download(f"results:1:truncate,framing={framing},{cut}")


def test_a_cut_body_without_length_is_silently_short(download):
    body, headers, counts = download("results:1:truncate,framing=close,rows=5")
    assert len(rows_of(body)) == 5
    assert counts.succeeded == 20
    assert "transfer-encoding" not in headers


def test_a_reset_in_the_body(download):
    with pytest.raises(httpx2.TransportError):
        download("results:1:reset_body,at_byte=100")


def test_a_second_download_is_whole_and_the_same(simulate, client_of, requests_of):
    sim = simulate("results:1:truncate,framing=close")
    client = client_of(sim)
    batch = client.messages.batches.create(requests=requests_of(9))
    sim.clock.advance(3600)
    with pytest.raises(json.JSONDecodeError):
        list(client.messages.batches.results(batch.id))
    first, second = ([row.custom_id for row in client.messages.batches.results(batch.id)] for _ in range(2))
    assert first == second
    assert len(first) == 9


@pytest.mark.parametrize(
    ("fault", "lines", "distinct"),
    [("missing_rows,rows=3", 17, 17), ("duplicate_rows,rows=3", 23, 20), ("foreign_rows,rows=3", 23, 23)],
)
def test_rows_may_be_missing_doubled_or_foreign(download, fault, lines, distinct):
    body, _, counts = download(f"results::{fault}")
    ids = [row["custom_id"] for row in rows_of(body)]
    assert (len(ids), len(set(ids)), counts.succeeded) == (lines, distinct, 20)


def test_a_row_may_be_malformed(download):
    body, _, _ = download("results::malformed_rows,rows=2")
    bad = 0
    for line in body.splitlines():
        try:
            json.loads(line)
        except json.JSONDecodeError:
            bad += 1
    assert (bad, body.count(b"\n")) == (2, 20)


def test_line_ends_may_be_odd(download):
    assert download("results::crlf")[0].count(b"\r\n") == 20
    assert download("results::blank_lines")[0].count(b"\n\n") == 20
    assert not download("results::no_final_newline")[0].endswith(b"\n")


def test_text_may_hold_raw_line_separators(download):
    body, _, _ = download("results::u2028,rows=1")
    assert "\u2028".encode() in body
    assert len(body.decode().splitlines()) > len(rows_of(body)) == 20


def test_a_line_may_be_very_long(download):
    body, _, _ = download("results::long_line,megabytes=3")
    assert max(map(len, body.split(b"\n"))) > 3_000_000
    assert len(rows_of(body)) == 20


def test_the_file_may_be_compressed(download):
    body, headers, _ = download("results::gzip")
    assert headers["content-encoding"] == "gzip"
    assert len(rows_of(body)) == 20


def test_errors_may_be_flat(download, requests_of):
    body, _, _ = download("results::flat_errors", requests=requests_of(2, stream=True))
    errors = [row["result"]["error"] for row in rows_of(body)]
    assert {error["type"] for error in errors} == {"invalid_request_error"}
    assert all("stream" in error["message"] for error in errors)


def test_a_result_may_be_of_an_unknown_type(download):
    body, _, _ = download("results::unknown_result,rows=1")
    assert min(row["result"]["type"] for row in rows_of(body)) == "deferred"


def test_results_may_be_not_found_although_ended(download):
    with pytest.raises(anthropic.NotFoundError):
        download("results:1:status,status=404")


def test_rows_are_made_only_as_they_are_read(simulate, client_of, requests_of):
    made = []
    sim = simulate(answer=lambda _: made.append(1) or "x" * 2000)
    client = client_of(sim)
    batch = client.messages.batches.create(requests=requests_of(20_000))
    sim.clock.advance(3600)
    with client.messages.batches.with_streaming_response.results(batch.id) as reply:
        assert next(reply.iter_bytes())
        assert sim.stats()["downloads"] == 1
    sim.stop()
    assert 0 < len(made) < 20_000


ROW_WORDS = {
    "overloaded": ("errored", "overloaded_error"),
    "server_error": ("errored", "api_error"),
    "rate_limited": ("errored", "rate_limit_error"),
    "timeout": ("errored", "timeout_error"),
    "invalid": ("errored", "invalid_request_error"),
    "too_large": ("errored", "request_too_large"),
    "permission": ("errored", "permission_error"),
    "credit": ("errored", "invalid_request_error"),
    "expired": ("expired", None),
    "canceled": ("canceled", None),
    "refusal": ("succeeded", "refusal"),
    "max_tokens": ("succeeded", "max_tokens"),
    "pause_turn": ("succeeded", "pause_turn"),
    "context_exceeded": ("succeeded", "model_context_window_exceeded"),
    "bad_json": ("succeeded", "end_turn"),
    "empty": ("succeeded", "end_turn"),
}


def test_a_row_fails_with_each_word_once_and_then_succeeds(simulate, client_of, ask):
    sim = simulate(*[f"row:<{word}>:{word}" for word in ROW_WORDS])
    client = client_of(sim)

    def run(prefix, **more):
        requests = [{"custom_id": prefix + word, "params": ask(f"<{word}> tale", **more)} for word in ROW_WORDS]
        batch = client.messages.batches.create(requests=requests)
        sim.clock.advance(3600)
        return {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}

    first = run("a-")
    for word, (kind, detail) in ROW_WORDS.items():
        result = first[f"a-{word}"]
        assert result.type == kind
        if kind == "errored":
            assert result.error.error.type == detail
            assert result.error.request_id.startswith("workerreq_")
        if kind == "succeeded":
            assert result.message.stop_reason == detail
    assert "credit balance is too low" in first["a-credit"].error.error.message
    assert first["a-refusal"].message.stop_details.type == "refusal"
    with pytest.raises(json.JSONDecodeError):
        json.loads(first["a-bad_json"].message.content[0].text)
    second = run("b-", max_tokens=400)
    assert {result.message.stop_reason for result in second.values()} == {"end_turn"}


def test_a_missing_row_counts_as_errored(download, ask):
    requests = [{"custom_id": name, "params": ask(name)} for name in ("lost", "found")]
    body, _, counts = download("row:lost:missing", requests=requests)
    assert [row["custom_id"] for row in rows_of(body)] == ["found"]
    assert (counts.errored, counts.succeeded) == (1, 1)


def test_rows_fail_at_a_seeded_rate_whatever_they_are_called(simulate, client_of, ask):
    def failed(prefix, seed):
        sim = simulate("row:20%:overloaded", seed=seed)
        client = client_of(sim)
        requests = [{"custom_id": f"{prefix}{n}", "params": ask(f"claim {n}")} for n in range(300)]
        batch = client.messages.batches.create(requests=requests)
        sim.clock.advance(3600)
        rows = client.messages.batches.results(batch.id)
        return {row.custom_id.removeprefix(prefix) for row in rows if row.result.type == "errored"}

    assert failed("a", 1) == failed("other-", 1) != failed("a", 2)
    assert 30 < len(failed("a", 1)) < 90


def test_row_faults_reach_the_synchronous_api(simulate, client_of, ask):
    client = client_of(simulate("row:water:overloaded", "row:fire:refusal,times=null"))
    with pytest.raises(anthropic.InternalServerError, match="Overloaded"):
        client.messages.create(**ask("water"))
    assert client.messages.create(**ask("water")).stop_reason == "end_turn"
    assert [client.messages.create(**ask("fire")).stop_reason for _ in range(3)] == ["refusal"] * 3
