"""Listing, looking, downloading, canceling, sending: on the simulator, and on servers that are less polite."""

import gzip
import time

import anyio
import msgspec
import pytest

from batchflow.model.errors import BadReply, NoListing, Refused, ReplyLost, Unreachable
from batchflow.model.words import Word
from batchflow.sim import FaultPlan

DATE = "Sun, 01 Nov 2026 18:40:00 GMT"
DATE_AT = 1793558400.0


def saying(status, body=b"{}", **headers):
    """A server that answers every request alike."""

    async def answer(line):
        while True:
            await line.hear()
            await line.say(status, body, **headers)

    return answer


async def submitted(sim, provider, pack, count=3, token="tok"):
    batch = await provider.submit(pack(count, token=token))
    sim.clock.advance(7200)
    return batch


async def drained(provider, remote):
    return b"".join([piece async for piece in provider.results(remote)])


async def pages(provider):
    return [page async for page in provider.list()]


async def test_a_listing_pages_through_everything_newest_first(sim, connect, pack, monkeypatch):
    monkeypatch.setattr("batchflow.builtin.anthropic.provider.PAGE", 2)
    async with connect(sim.url) as provider:
        made = []
        for number in range(5):
            made.append((await provider.submit(pack(1, token=f"t{number}"))).id)
            sim.clock.advance(1)
        listed = await pages(provider)
    assert [batch.id for page in listed for batch in page.batches] == made[::-1]
    assert [len(page.batches) for page in listed] == [2, 2, 1]


async def test_an_empty_workspace_still_tells_the_servers_time(sim, connect):
    async with connect(sim.url) as provider:
        (page,) = await pages(provider)
    assert page.batches == ()
    assert abs(page.server_now - sim.clock.now()) <= 1


async def test_a_listing_that_goes_in_circles_is_not_taken_for_a_whole_one(serve, connect):
    body = b'{"data":[{"id":"msgbatch_1"}],"has_more":true,"last_id":"msgbatch_1"}'
    async with serve(saying(200, body)) as server, connect(server.url) as provider:
        with pytest.raises(BadReply, match="circles"):
            await pages(provider)


@pytest.mark.parametrize(
    "batch",
    [
        b'{"id":"m"}',
        b'{"id":"m","processing_status":null,"request_counts":null,"created_at":null,"ended_at":null,"archived_at":null}',
        b'{"id":"m","processing_status":"validating","request_counts":{},"created_at":"yesterday"}',
        b'{"id":"m","request_counts":{"processing":null,"succeeded":null},"novel":{"deep":[1]}}',
    ],
)
async def test_a_batch_that_says_little_is_young_and_not_over(serve, connect, batch):
    async with serve(saying(200, b'{"data":[%b]}' % batch, Date=DATE)) as server, connect(server.url) as provider:
        (page,) = await pages(provider)
    (told,) = page.batches
    assert (told.id, told.ended, told.count, told.archived) == ("m", False, 0, False)
    assert told.created_at == page.server_now == DATE_AT


async def test_a_server_without_a_date_header_has_no_time(serve, connect):
    async with serve(saying(200, b'{"data":[]}')) as server, connect(server.url) as provider:
        (page,) = await pages(provider)
    assert page.server_now == 0.0


async def test_times_counts_and_states_are_read(serve, connect):
    body = msgspec.json.encode(
        {
            "id": "m",
            "processing_status": "canceling",
            "request_counts": {"processing": 1, "succeeded": 2, "errored": 3, "canceled": 4, "expired": 5},
            "created_at": "2026-11-01T18:37:24.5Z",
            "expires_at": "2026-11-02T19:37:24.500000+01:00",
            "archived_at": "2026-12-01T00:00:00Z",
        }
    )
    async with serve(saying(200, body)) as server, connect(server.url) as provider:
        told = await provider.status("m")
    assert (told.count, told.succeeded, told.errored, told.canceled, told.expired) == (15, 2, 3, 4, 5)
    assert (told.ended, told.canceling, told.archived) == (False, True, True)
    assert told.expires_at - told.created_at == 24 * 3600


async def test_an_unknown_batch_is_none(sim, connect):
    async with connect(sim.url) as provider:
        assert await provider.status("msgbatch_nowhere") is None
        assert await provider.cancel("msgbatch_nowhere") is None


async def test_an_id_cannot_lead_to_another_path(serve, connect):
    async with serve(saying(404)) as server, connect(server.url) as provider:
        await provider.status("../../organizations?x=1")
    assert server.heard[0].head.startswith("GET /v1/messages/batches/..%2F..%2Forganizations%3Fx=1 HTTP/1.1")


async def test_results_come_as_they_are_from_the_batchs_own_path(serve, connect):
    rows = '{"custom_id":"t-0","x":"\u2028\u0085"}\r\n\n{"custom_id":"t-1"}'.encode()
    async with serve(saying(200, rows)) as server, connect(server.url + "/prefix") as provider:
        assert await drained(provider, "m1") == rows
    (heard,) = server.heard
    assert heard.head.startswith("GET /prefix/v1/messages/batches/m1/results HTTP/1.1")


@pytest.mark.parametrize("where", ["relative", "null", "http://127.0.0.1:9"])
async def test_the_results_url_is_never_followed(sim, connect, pack, where):
    sim.set_faults(FaultPlan.parse([f"all::results_url,value={where}"]))
    async with connect(sim.url) as provider:
        batch = await submitted(sim, provider, pack)
        rows = provider.read((await drained(provider, batch.id)).split(b"\n")[:-1])
    assert sorted(row.custom_id for row in rows) == ["tok-0", "tok-1", "tok-2"]


async def test_compressed_results_are_unpacked(serve, connect):
    rows = b'{"custom_id":"t-0"}\n' * 50_000
    zipped = saying(200, gzip.compress(rows), Content_Encoding="gzip")
    async with serve(zipped) as server, connect(server.url) as provider:
        pieces = [piece async for piece in provider.results("m")]
    assert b"".join(pieces) == rows


async def test_a_download_shorter_than_announced_is_noticed(serve, connect):
    async def short(line):
        await line.hear()
        await line.say(200, b'{"custom_id":"t-0"}\n', Content_Length="1000")

    async with serve(short) as server, connect(server.url) as provider:
        with pytest.raises(BadReply, match="downloaded again"):
            await drained(provider, "m")


@pytest.mark.parametrize(
    "flag", ["truncate,at_byte=300,framing=chunked", "truncate,at_byte=300,framing=length", "reset_body,at_byte=300"]
)
async def test_a_download_that_breaks_off_is_noticed_and_works_the_next_time(sim, connect, pack, flag):
    sim.set_faults(FaultPlan.parse([f"results:1:{flag}"]))
    async with connect(sim.url) as provider:
        batch = await submitted(sim, provider, pack, 20)
        with pytest.raises(BadReply):
            await drained(provider, batch.id)
        assert (await drained(provider, batch.id)).count(b"\n") == 20


async def test_results_that_are_not_there_yet_are_missing(sim, connect, pack):
    async with connect(sim.url) as provider:
        batch = await provider.submit(pack())
        with pytest.raises(Refused) as refusal:
            await drained(provider, batch.id)
    assert refusal.value.word is Word.MISSING


async def test_results_that_are_too_old_are_archived(sim, connect, pack):
    async with connect(sim.url) as provider:
        batch = await submitted(sim, provider, pack)
        sim.clock.advance(30 * 86400)
        with pytest.raises(Refused) as refusal:
            await drained(provider, batch.id)
    assert refusal.value.word is Word.ARCHIVED


async def test_a_download_left_early_gives_its_connection_back(sim, connect, pack):
    async with connect(sim.url) as provider:
        batch = await submitted(sim, provider, pack, 50)
        for _ in range(3):
            stream = provider.results(batch.id)
            assert await anext(stream)
            await stream.aclose()
        assert (await drained(provider, batch.id)).count(b"\n") == 50


async def test_canceling_shows_in_the_answer(sim, connect, pack):
    async with connect(sim.url) as provider:
        batch = await provider.submit(pack())
        told = await provider.cancel(batch.id)
    assert (told.canceling, told.ended) == (True, False)


@pytest.mark.parametrize("status", [200, 400, 409])
async def test_canceling_what_is_over_says_that_it_is_over(serve, connect, status):
    ended = b'{"id":"m","processing_status":"ended","request_counts":{"succeeded":3}}'

    async def answer(line):
        while True:
            heard = await line.hear()
            await (
                line.say(status, ended if status == 200 else b"{}") if "/cancel" in heard.head else line.say(200, ended)
            )

    async with serve(answer) as server, connect(server.url) as provider:
        told = await provider.cancel("m")
    assert (told.ended, told.succeeded) == (True, 3)


async def test_one_request_can_be_sent_at_once(sim, connect):
    params = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
    async with connect(sim.url) as provider:
        answer = await provider.send(msgspec.json.encode(params))
    assert answer.word is Word.OK
    assert answer.text
    assert answer.usage.output_tokens


async def test_what_is_wrong_with_the_params_is_an_answer(sim, connect):
    async with connect(sim.url) as provider:
        unknown = await provider.send(b'{"model":"claude-9","max_tokens":5,"messages":[{"role":"user","content":"x"}]}')
        invalid = await provider.send(b'{"model":"claude-haiku-4-5","max_tokens":5}')
    assert (unknown.word, invalid.word) == (Word.UNKNOWN_MODEL, Word.INVALID)
    assert "messages" in invalid.error


@pytest.mark.parametrize(
    ("status", "error", "word"),
    [(401, Refused, Word.UNAUTHORIZED), (429, Refused, Word.RATE_LIMITED), (529, Refused, Word.OVERLOADED)],
)
async def test_what_is_wrong_with_the_account_or_the_service_is_raised(serve, connect, status, error, word):
    async with serve(saying(status)) as server, connect(server.url) as provider:
        with pytest.raises(error) as raised:
            await provider.send(b"{}")
    assert raised.value.word is word
    assert len(server.heard) == 1


async def test_a_lost_reply_to_one_request_may_have_cost_money(serve, connect):
    async def drop(line):
        await line.hear()
        await line.reset()

    async with serve(drop) as server, connect(server.url) as provider:
        with pytest.raises(ReplyLost, match="billed"):
            await provider.send(b"{}")


@pytest.mark.parametrize(
    ("status", "word"), [(401, "unauthorized"), (429, "rate_limited"), (500, "server_error"), (529, "overloaded")]
)
async def test_a_refused_reading_is_told_once_with_when_to_come_again(serve, connect, status, word):
    body = b'{"type":"error","error":{"type":"x","message":"sorry"}}'
    async with serve(saying(status, body, Retry_After="12.5")) as server, connect(server.url) as provider:
        for reading in (provider.status("m"), pages(provider), drained(provider, "m")):
            with pytest.raises(Refused, match="sorry") as refusal:
                await reading
            assert (refusal.value.word, refusal.value.retry_after) == (word, 12.5)
    assert len(server.heard) == 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after": "Sun, 01 Nov 2026 18:41:00 GMT", "Date": DATE}, 60.0),
        ({"retry_after": "Sun, 01 Nov 2026 18:39:00 GMT", "Date": DATE}, 0.0),
        ({"retry_after": "Sun, 01 Nov 2026 18:41:00 GMT"}, None),
        ({"retry_after": "99999999"}, 3600.0),
        ({"retry_after": "inf"}, 3600.0),
        ({"retry_after": "nan"}, 3600.0),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
async def test_retry_after_is_read_in_all_its_forms_and_capped(serve, connect, headers, seconds):
    async with serve(saying(429, b"", **headers)) as server, connect(server.url) as provider:
        with pytest.raises(Refused) as refusal:
            await provider.status("m")
    assert refusal.value.retry_after == seconds


async def test_a_redirect_is_not_followed(serve, connect):
    async with (
        serve(saying(200, b'{"id":"m"}')) as other,
        serve(saying(307, location=other.url)) as server,
        connect(server.url) as provider,
    ):
        for reading in (provider.status("m"), pages(provider), drained(provider, "m"), provider.cancel("m")):
            with pytest.raises(BadReply, match="redirected"):
                await reading
    assert other.connections == 0


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id":[7]}', b'{"id":""}', b'{"id":"\xff"}'])
async def test_a_reply_that_cannot_be_read_says_so(serve, connect, body):
    async with serve(saying(200, body)) as server, connect(server.url) as provider:
        with pytest.raises(BadReply, match="cannot be read"):
            await provider.status("m")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"data":[{"id":[7]}]}', b'{"data":[{}]}', b'{"data":[{"id":"\xff"}]}']
)
async def test_a_listing_that_cannot_be_read_says_so(serve, connect, body):
    async with serve(saying(200, body)) as server, connect(server.url) as provider:
        with pytest.raises(BadReply, match="cannot be read"):
            await pages(provider)


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b""), (405, b"<html>"), (501, b"{}"), (200, b"[]"), (200, b'{"batches":[]}'), (200, b'{"data":7}')],
)
async def test_a_server_without_a_listing_is_told_from_one_in_trouble(serve, connect, status, body):
    async with serve(saying(status, body)) as server, connect(server.url) as provider:
        with pytest.raises(NoListing, match=server.url):
            await pages(provider)


async def test_a_listing_of_null_is_an_empty_one(serve, connect):
    async with serve(saying(200, b'{"data":null}')) as server, connect(server.url) as provider:
        (page,) = await pages(provider)
    assert page.batches == ()


async def test_ids_that_are_numbers_and_states_in_other_words_are_read(serve, connect):
    body = b'{"id":7,"processing_status":"Completed","results_url":"/r","created_at":1793558400,"request_counts":[1]}'
    async with serve(saying(200, body)) as server, connect(server.url) as provider:
        told = await provider.status("7")
    assert (told.id, told.ended, told.created_at, told.count) == ("7", True, DATE_AT, 0)


async def test_a_time_told_by_nobody_is_now(serve, connect):
    began = time.time()
    async with serve(saying(200, b'{"id":"m"}')) as server, connect(server.url) as provider:
        told = await provider.status("m")
    assert began <= told.created_at <= time.time()


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("/files/7", "/files/7"),
        ("files/7?part=1", "/files/7?part=1"),
        ("{here}/files/7", "/files/7"),
        ("http://127.0.0.1:1/files/7", None),
        ("//127.0.0.1:1/files/7", None),
        ("ftp:/files/7", None),
        ("http://[half", None),
        (7, None),
        (None, None),
    ],
)
async def test_results_that_are_elsewhere_are_asked_for_on_the_same_server_only(serve, connect, url, asked):
    async def answer(line):
        while True:
            path = (await line.hear()).head.split(" ")[1]
            if path.endswith("/results"):
                await line.say(404, b"{}")
            elif path == asked:
                await line.say(200, b"line\n")
            else:
                told = url.replace("{here}", server.url) if isinstance(url, str) else url
                await line.say(200, msgspec.json.encode({"id": "m", "results_url": told}))

    async with serve(answer) as server, connect(server.url) as provider:
        if asked is None:
            with pytest.raises(Refused) as caught:
                await drained(provider, "m")
            assert caught.value.word is Word.MISSING
        else:
            assert await drained(provider, "m") == b"line\n"


async def test_nobody_at_the_address_is_unreachable(connect, dead_port):
    async with connect(f"http://127.0.0.1:{dead_port}") as provider:
        for reading in (provider.status("m"), pages(provider), drained(provider, "m"), provider.cancel("m")):
            with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
                await reading


async def test_a_server_that_says_nothing_is_given_up_after_the_timeout(serve, connect):
    async def wait(line):
        await line.hear()
        await anyio.sleep_forever()

    async with serve(wait) as server, connect(server.url, timeout=0.3) as provider:
        with pytest.raises(Unreachable):
            await provider.status("m")
        with pytest.raises(Unreachable):
            await drained(provider, "m")


async def test_organisation_and_workspace_are_learnt_from_replies(sim, connect):
    async with connect(sim.url) as provider:
        before = provider.binding()
        await pages(provider)
        after = provider.binding()
    assert (before.organization, before.workspace) == ("", "")
    assert after.organization == "org_simulated"
    assert after.workspace
    assert (before.key, before.base_url) == (after.key, after.base_url)


@pytest.mark.parametrize("fault", ["omit_nulls", "no_request_id", "unknown_status"])
async def test_a_server_that_leaves_things_out_is_understood(sim, connect, pack, fault):
    sim.set_faults(FaultPlan.parse([f"create+retrieve+list::{fault},count=2"]))
    async with connect(sim.url) as provider:
        batch = await submitted(sim, provider, pack)
        assert (await provider.status(batch.id)).count == 3
        (page,) = await pages(provider)
    assert [told.ended for told in page.batches] == [True]


async def test_the_api_minds_what_its_listing_is_asked_so_an_empty_one_is_believed(sim, connect):
    async with connect(sim.url) as provider:
        assert await provider.can_list()


@pytest.mark.parametrize(
    ("status", "body", "believed"),
    [(400, b"{}", True), (422, b"{}", True), (200, b'{"data":[]}', False), (200, b"<html>", False), (404, b"", False)],
)
async def test_a_listing_that_answers_nonsense_like_everything_else_proves_nothing(
    serve, connect, status, body, believed
):
    async with serve(saying(status, body)) as server, connect(server.url) as provider:
        assert await provider.can_list() is believed
    assert "limit=0" in server.heard[0].head


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_trouble_is_no_word_about_the_listing(serve, connect, status):
    async with serve(saying(status, b"{}")) as server, connect(server.url) as provider:
        with pytest.raises(Refused):
            await provider.can_list()
