"""The create call: what goes out, and what each ending says about a batch that may exist."""

from collections.abc import AsyncIterator, Sequence

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.builtin.anthropic.body import PIECE, Body, body_bytes
from batchflow.model.errors import Bug, ObjectDamaged, ProviderError, Refused, ReplyLost, Unreachable
from batchflow.model.words import Word
from batchflow.ports.provider import Outgoing
from batchflow.sim import FaultPlan

CREATED = b'{"id":"msgbatch_1","processing_status":"in_progress","request_counts":{"processing":3},"created_at":"2026-11-01T18:37:24.100435Z"}'


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.binary(min_size=2, max_size=40).map(lambda b: msgspec.json.encode(b.hex())), max_size=130),
    chunk=st.integers(1, 50),
    token=st.text("abcXYZ09_-", min_size=1, max_size=20),
)
def test_the_body_is_json_of_exactly_the_announced_length(rows, chunk, token):
    async def chunks() -> AsyncIterator[Sequence[bytes]]:
        for start in range(0, len(rows), chunk):
            yield rows[start : start + chunk]

    async def collect() -> bytes:
        outgoing = Outgoing(
            token=token,
            count=len(rows),
            params_bytes=sum(map(len, rows)),
            chunks=chunks(),
            check=lambda: None,
            timeout=1,
        )
        return b"".join([piece async for piece in Body(outgoing)])

    sent = anyio.run(collect)
    assert len(sent) == body_bytes(count=len(rows), params_bytes=sum(map(len, rows)), token_length=len(token))
    told = msgspec.json.decode(sent)["requests"]
    assert told == [
        {"custom_id": f"{token}-{number}", "params": msgspec.json.decode(row)} for number, row in enumerate(rows)
    ]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 99, 100, 101, 1000, 100_000])
def test_row_numbers_of_every_width_are_counted(count):
    empty = body_bytes(count=0, params_bytes=0, token_length=0)
    frames = sum(len(f'{{"custom_id":"-{n}","params":}}') for n in range(count)) + max(count - 1, 0)
    assert body_bytes(count=count, params_bytes=0, token_length=0) == empty + frames


async def test_rows_arrive_as_given_under_the_tokens_names(serve, connect, pack):
    rows = [b'{"temperature":1.0,"odd":null}', b'{"max_tokens":0, "x": "\xc3\xa9"}', b"{}"]

    async def accept(line):
        await line.hear()
        await line.say(200, CREATED)

    async with serve(accept) as server, connect(server.url) as provider:
        batch = await provider.submit(pack(rows, token="T0"))

    (heard,) = server.heard
    assert heard.head.startswith("POST /v1/messages/batches HTTP/1.1")
    assert (
        heard.body
        == b'{"requests":['
        + b",".join(b'{"custom_id":"T0-%d","params":%b}' % (n, row) for n, row in enumerate(rows))
        + b"]}"
    )
    assert heard.header("content-length") == str(len(heard.body))
    assert heard.header("transfer-encoding") is None
    assert heard.header("content-type") == "application/json"
    assert (batch.id, batch.count, batch.ended) == ("msgbatch_1", 3, False)


async def test_the_check_is_asked_before_every_piece_and_before_the_closing_one(serve, connect, pack):
    asked = []
    rows = [b'"' + b"x" * 100_000 + b'"'] * 12

    async def accept(line):
        await line.hear()
        await line.say(200, CREATED)

    async with serve(accept) as server, connect(server.url) as provider:
        await provider.submit(pack(rows, check=lambda: asked.append(1)))
    assert len(asked) >= 1 + sum(map(len, rows)) / (2 * PIECE)


async def test_a_huge_row_leaves_in_pieces(pack):
    sizes = [len(piece) async for piece in Body(pack([b'"' + b"x" * (5 * PIECE) + b'"']))]
    assert max(sizes) <= 2 * PIECE
    assert sizes[-1] == len("]}")


async def test_empty_chunks_leave_no_trace(pack):
    async def chunks() -> AsyncIterator[Sequence[bytes]]:
        for chunk in ([], [b"1"], [], [b"2"], []):
            yield chunk

    outgoing = msgspec.structs.replace(pack(2), chunks=chunks(), params_bytes=2)
    sent = b"".join([piece async for piece in Body(outgoing)])
    assert [row["params"] for row in msgspec.json.decode(sent)["requests"]] == [1, 2]


async def test_a_body_that_is_asked_for_again_is_not_sent_again(pack):
    body = Body(pack(2))
    assert [piece async for piece in body]
    with pytest.raises(Bug, match="twice"):
        await anext(aiter(body))


def refuse_at(number: int):
    """A check that raises when it is asked for the n-th time."""
    calls = iter(range(1, 1_000_000))

    def check() -> None:
        if next(calls) == number:
            raise TimeoutError("the lease is over")

    return check


async def test_a_check_that_fails_at_once_lets_nothing_out(serve, connect, pack):
    async def accept(line):
        await line.hear()

    async with serve(accept) as server, connect(server.url) as provider:
        with pytest.raises(Unreachable, match="the lease is over"):
            await provider.submit(pack(check=refuse_at(1)))
        await server.ended.wait()
    assert [heard.body for heard in server.heard] in ([], [b""])


async def test_a_check_that_fails_before_the_closing_piece_breaks_the_connection(serve, connect, pack):
    async def accept(line):
        await line.hear()

    outgoing = pack(3, check=refuse_at(2))
    async with serve(accept) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost, match="the lease is over"):
            await provider.submit(outgoing)
        await server.ended.wait()
    (heard,) = server.heard
    assert not heard.whole
    assert len(heard.body) == int(heard.header("content-length") or 0) - len("]}")


FOURTH = body_bytes(count=4, params_bytes=0, token_length=3) - body_bytes(count=3, params_bytes=0, token_length=3)


@pytest.mark.parametrize(
    ("announced", "why"),
    [
        ({"params_bytes": 200}, "length"),
        ({"params_bytes": 400}, "length"),
        ({"count": 2}, "length"),
        ({"count": 4, "params_bytes": 300 - FOURTH}, "announced 4 rows"),
    ],
)
async def test_rows_that_were_announced_wrongly_never_make_a_whole_body(serve, connect, pack, announced, why):
    async def accept(line):
        await line.hear()

    async with serve(accept) as server, connect(server.url) as provider:
        with pytest.raises(Bug, match=why):
            await provider.submit(pack([b'"' + b"x" * 98 + b'"'] * 3, **announced))
        await server.ended.wait()
    assert not any(heard.whole for heard in server.heard)


async def test_a_damaged_object_is_told_as_such_while_nothing_was_sent(serve, connect, pack):
    async def chunks() -> AsyncIterator[Sequence[bytes]]:
        raise ObjectDamaged("requests/b1 is short")
        yield []

    async def accept(line):
        await line.hear()

    async with serve(accept) as server, connect(server.url) as provider:
        with pytest.raises(ObjectDamaged, match="requests/b1"):
            await provider.submit(msgspec.structs.replace(pack(), chunks=chunks()))


async def test_an_object_that_turns_out_damaged_later_leaves_the_call_in_doubt(serve, connect, pack):
    async def chunks() -> AsyncIterator[Sequence[bytes]]:
        yield [b'"' + b"x" * PIECE + b'"']
        raise ObjectDamaged("requests/b1 is short")

    async def accept(line):
        await line.hear()

    async with serve(accept) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost, match="requests/b1"):
            await provider.submit(msgspec.structs.replace(pack(), chunks=chunks(), params_bytes=PIECE * 3))


async def test_nobody_at_the_address_is_definite_and_asks_for_no_row(connect, pack, dead_port):
    asked = []
    async with connect(f"http://127.0.0.1:{dead_port}") as provider:
        with pytest.raises(Unreachable, match="Nothing was created"):
            await provider.submit(pack(check=lambda: asked.append(1)))
    assert asked == []


async def test_a_reset_after_the_whole_body_is_in_doubt(serve, connect, pack):
    async def drop(line):
        await line.hear()
        await line.reset()

    async with serve(drop) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost):
            await provider.submit(pack())
    assert [heard.whole for heard in server.heard] == [True]


async def test_a_reset_in_the_middle_of_the_body_is_in_doubt(serve, connect, pack):
    async def drop(line):
        await line.head()
        await line.stream.receive()
        await line.reset()

    async with serve(drop) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost):
            await provider.submit(pack([b'"' + b"x" * 1_000_000 + b'"'] * 20))
    assert server.connections == 1


async def test_a_server_that_never_answers_is_in_doubt_when_the_time_is_up(serve, connect, pack):
    async def wait(line):
        await line.hear()
        await anyio.sleep_forever()

    async with serve(wait) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost):
            await provider.submit(pack(timeout=0.3))
    assert [heard.whole for heard in server.heard] == [True]


async def test_a_server_that_stops_reading_does_not_get_the_end_of_the_body(serve, connect, pack):
    asked = []

    async def stop(line):
        await line.head()
        await anyio.sleep_forever()

    rows = [b'"' + b"x" * 1_000_000 + b'"'] * 40
    async with serve(stop) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost):
            await provider.submit(pack(rows, timeout=0.5, check=lambda: asked.append(1)))
    assert len(asked) < 40 * 1_000_000 / PIECE


async def test_cancellation_passes_through_and_breaks_the_connection(serve, connect, pack):
    async def wait(line):
        await line.hear()
        heard_all.set()
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await line.stream.receive()
        broken.set()

    heard_all, broken = anyio.Event(), anyio.Event()
    async with serve(wait) as server, connect(server.url) as provider:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(provider.submit, pack())
            await heard_all.wait()
            tasks.cancel_scope.cancel()
        assert tasks.cancel_scope.cancelled_caught
        await broken.wait()


REFUSALS = [
    (400, "invalid_request_error", "requests.0.custom_id: Field required", "", Word.INVALID),
    (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", "", Word.NO_CREDIT),
    (401, "authentication_error", "API key is invalid.", "", Word.UNAUTHORIZED),
    (402, "billing_error", "pay", "", Word.NO_CREDIT),
    (403, "permission_error", "no", "", Word.UNAUTHORIZED),
    (404, "not_found_error", "Not found", "", Word.MISSING),
    (413, "request_too_large", "too large", "", Word.TOO_LARGE),
    (422, "", "", "", Word.INVALID),
    (429, "rate_limit_error", "slow down", "", Word.RATE_LIMITED),
    (429, "rate_limit_error", "cap", "enforced_spend_limit_reached", Word.NO_CREDIT),
]


@pytest.mark.parametrize(("status", "kind", "message", "code", "word"), REFUSALS)
async def test_a_4xx_is_a_definite_no(serve, connect, pack, status, kind, message, code, word):
    body = {"type": "error", "error": {"type": kind, "message": message, "details": {"error_code": code}}}

    async def refuse(line):
        await line.hear()
        await line.say(status, msgspec.json.encode(body), request_id="req_1", retry_after="7")

    async with serve(refuse) as server, connect(server.url) as provider:
        with pytest.raises(Refused) as refusal:
            await provider.submit(pack())
    assert (refusal.value.word, refusal.value.status, refusal.value.retry_after) == (word, status, 7.0)
    assert message.rstrip(".") in refusal.value.message
    assert "req_1" in refusal.value.message
    assert server.connections == 1


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 408, 409, 499, 500, 502, 503, 504, 529])
async def test_whatever_else_it_answers_leaves_it_in_doubt_and_is_not_sent_again(serve, connect, pack, status):
    async def answer(line):
        await line.hear()
        await line.say(status, b"<html>oops</html>", location="http://127.0.0.1:9/elsewhere", x_should_retry="true")

    async with serve(answer) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost) as doubt:
            await provider.submit(pack())
    assert doubt.value.status == status
    assert doubt.value.word is (Word.OVERLOADED if status == 529 else Word.SERVER_ERROR)
    assert (server.connections, len(server.heard)) == (1, 1)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"<html>", b'{"type":"message_batch"}', b'{"id":""}', b'{"id":null}', CREATED[:-9]]
)
async def test_a_success_that_cannot_be_read_is_in_doubt(serve, connect, pack, body):
    async def answer(line):
        await line.hear()
        await line.say(200, body)

    async with serve(answer) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost):
            await provider.submit(pack())


async def test_a_success_whose_body_breaks_off_is_in_doubt(serve, connect, pack):
    async def answer(line):
        await line.hear()
        await line.say(200, CREATED, Content_Length=str(len(CREATED) + 10))

    async with serve(answer) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost):
            await provider.submit(pack())


async def test_a_refusal_that_comes_before_the_body_is_through_is_heard(serve, connect, pack):
    async def refuse(line):
        await line.head()
        await line.say(413, b"<html><h1>413 Too Large</h1></html>", Connection="close")
        await line.stream.send_eof()
        while True:
            await line.stream.receive()

    async with serve(refuse) as server, connect(server.url) as provider:
        with pytest.raises(Refused) as refusal:
            await provider.submit(pack([b'"' + b"x" * 1_000_000 + b'"'] * 8))
    assert refusal.value.word is Word.TOO_LARGE


async def test_a_smaller_limit_of_requests_is_read_from_the_refusal(sim, connect, pack):
    sim.set_faults(FaultPlan.parse(["create::max_requests,limit=2"]))
    async with connect(sim.url) as provider:
        with pytest.raises(Refused) as refusal:
            await provider.submit(pack(3))
    assert (refusal.value.max_requests, refusal.value.word) == (2, Word.INVALID)
    assert sim.stats()["requests_accepted"] == 0


async def test_creates_never_share_a_connection_with_anything(serve, connect, pack):
    async def keep_alive(line):
        while True:
            heard = await line.hear()
            await line.say(200, CREATED if heard.head.startswith("POST") else b'{"data":[]}')

    async with serve(keep_alive) as server, connect(server.url) as provider:
        for _ in range(2):
            _ = [page async for page in provider.list()]
            await provider.submit(pack())
    posts = [heard for heard in server.heard if heard.head.startswith("POST")]
    assert (len(posts), server.connections) == (2, 3)


@pytest.mark.parametrize(("fault", "created"), [("reset_before", 0), ("reset_after", 1)])
async def test_a_dropped_reply_says_nothing_about_the_batch(sim, connect, pack, fault, created):
    sim.set_faults(FaultPlan.parse([f"create:1:{fault}"]))
    async with connect(sim.url) as provider:
        with pytest.raises(ReplyLost):
            await provider.submit(pack())
    assert sim.stats()["batches_created"] == created
    assert sim.stats()["creates"] == 1


async def test_errors_say_what_is_known_about_the_money(sim, connect, pack):
    sim.set_faults(FaultPlan.parse(["create:1:reset_after"]))
    async with connect(sim.url) as provider:
        with pytest.raises(ProviderError) as doubt:
            await provider.submit(pack(3))
    assert "3 requests" in doubt.value.message
    assert "billed" in doubt.value.message
    assert "the listing is searched for it" in doubt.value.hint


LIMITS = [
    ("requests: List should have at most 1000 items after validation, not 2500", 1000, Word.INVALID),
    ("Batch size 2500 exceeds the maximum of 1,000 requests per batch", 1000, Word.INVALID),
    ("Too many requests in batch: 2500 > 1000", 1000, Word.TOO_LARGE),
    ("A batch may contain up to 1_000 requests, got 2500", 1000, Word.INVALID),
    ("1000 requests per batch is the limit", 1000, Word.INVALID),
    ("too many items", None, Word.TOO_LARGE),
    ("requests: List should have at least 1 item after validation, not 0", None, Word.INVALID),
    ("requests.17.params.max_tokens: 9000 > 8192, which is the maximum", None, Word.INVALID),
    ("requests.3.custom_id: String should have at most 64 characters", None, Word.INVALID),
    ("requests are limited to 5.5 MB", None, Word.INVALID),
    ("This request would exceed your organization's rate limit of 50 requests per minute", None, Word.INVALID),
]


@pytest.mark.parametrize(("text", "limit", "word"), LIMITS, ids=[text for text, _, _ in LIMITS])
async def test_a_smaller_limit_is_learnt_in_whatever_words_it_is_told(serve, connect, pack, text, limit, word):
    body = msgspec.json.encode({"error": {"type": "invalid_request_error", "message": text}})

    async def refuse(line):
        await line.hear()
        await line.say(400, body)

    async with serve(refuse) as server, connect(server.url) as provider:
        with pytest.raises(Refused) as refusal:
            await provider.submit(pack(3))
        assert (refusal.value.max_requests, refusal.value.word) == (limit, word)
        assert provider.limits().requests == (limit or 100_000)


async def test_a_refusal_under_another_name_is_quoted(serve, connect, pack):
    body = b'{"detail":[{"msg":"List should have at most 1000 items after validation, not 2500"}]}'

    async def refuse(line):
        await line.hear()
        await line.say(422, body)

    async with serve(refuse) as server, connect(server.url) as provider:
        with pytest.raises(Refused, match="at most 1000 items") as refusal:
            await provider.submit(pack(3))
    assert refusal.value.max_requests == 1000
